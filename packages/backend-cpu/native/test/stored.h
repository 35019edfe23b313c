// Blocks as checkpoints store them, and what they stand for in double precision: what the kernels are compared with.
// Written from the descriptions of packages/formats alone; knows nothing of groups of rows.
#pragma once
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "../half.h"
#include "../structs.h"

namespace stored {

inline double f16_at(const u8* p) {
  const u32 bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, (int)exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}
inline double f32_at(const u8* p) {
  float x;
  memcpy(&x, p, 4);
  return x;
}
inline double bf16_at(const u8* p) {
  const u8 bytes[4] = {0, 0, p[0], p[1]};
  return f32_at(bytes);
}

/** A value and, apart, what is taken off it: their sum is rounded once, their products with the input are not one. */
struct Value {
  double product, minimum;
};

inline int nibble(const u8* q, u32 i) { return i < 16 ? q[i] & 15 : q[i - 16] >> 4; }
inline int fifth(const u8* q, u32 i) { return (q[i >> 3] >> (i & 7) & 1) << 4; }
inline int six_bit_scale(const u8* s, u32 j) { return j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4; }
inline int six_bit_minimum(const u8* s, u32 j) { return j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4; }

inline Value q4_0(const u8* b, u32 i) { return {f16_at(b) * (nibble(b + 2, i) - 8), 0}; }
inline Value q4_1(const u8* b, u32 i) { return {f16_at(b) * nibble(b + 4, i), f16_at(b + 2)}; }
inline Value q5_0(const u8* b, u32 i) { return {f16_at(b) * ((nibble(b + 6, i) | fifth(b + 2, i)) - 16), 0}; }
inline Value q5_1(const u8* b, u32 i) { return {f16_at(b) * (nibble(b + 8, i) | fifth(b + 4, i)), f16_at(b + 2)}; }
inline Value q8_0(const u8* b, u32 i) { return {f16_at(b) * (i8)b[2 + i], 0}; }
inline Value iq4_nl(const u8* b, u32 i) {
  static const int levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  return {f16_at(b) * levels[nibble(b + 2, i)], 0};
}
inline int two_bits(const u8* q, u32 i) { return q[(i >> 7) * 32 + (i & 31)] >> ((i >> 5 & 3) * 2) & 3; }
inline Value q2_k(const u8* b, u32 i) {
  const u8 factors = b[i >> 4];
  return {f16_at(b + 80) * (factors & 15) * two_bits(b + 16, i), -f16_at(b + 82) * (factors >> 4)};
}
inline Value q3_k(const u8* b, u32 i) {
  const u32 j = i >> 4;
  const int low = b[96 + (j & 7)] >> ((j >> 3) * 4) & 15, high = b[104 + (j & 3)] >> ((j >> 2) * 2) & 3;
  const int quant = two_bits(b + 32, i) | (b[i & 31] >> (i >> 5) & 1) << 2;
  return {f16_at(b + 108) * ((low | high << 4) - 32) * (quant - 4), 0};
}
inline int q4_k_quant(const u8* q, u32 i) { return q[(i >> 6) * 32 + (i & 31)] >> ((i >> 5 & 1) * 4) & 15; }
inline Value q4_k(const u8* b, u32 i) {
  return {f16_at(b) * six_bit_scale(b + 4, i >> 5) * q4_k_quant(b + 16, i), -f16_at(b + 2) * six_bit_minimum(b + 4, i >> 5)};
}
inline Value q5_k(const u8* b, u32 i) {
  const int quant = q4_k_quant(b + 48, i) | (b[16 + (i & 31)] >> (i >> 5) & 1) << 4;
  return {f16_at(b) * six_bit_scale(b + 4, i >> 5) * quant, -f16_at(b + 2) * six_bit_minimum(b + 4, i >> 5)};
}
inline Value q6_k(const u8* b, u32 i) {
  const u32 half = i >> 7, quarter = i >> 5 & 3, l = i & 31;
  const int low = b[half * 64 + (quarter & 1) * 32 + l] >> ((quarter >> 1) * 4) & 15;
  const int high = b[128 + half * 32 + l] >> (quarter * 2) & 3;
  return {f16_at(b + 208) * (i8)b[192 + (i >> 4)] * ((low | high << 4) - 32), 0};
}
inline Value q8_k(const u8* b, u32 i) { return {f32_at(b) * (i8)b[4 + i], 0}; }
inline Value f32(const u8* b, u32) { return {f32_at(b), 0}; }
inline Value f16(const u8* b, u32) { return {f16_at(b), 0}; }
inline Value bf16(const u8* b, u32) { return {bf16_at(b), 0}; }

struct Format {
  const char* name;
  u32 number, columns, bytes;
  /** Bytes that a block takes in a group. */
  u32 packed;
  Value (*value)(const u8* block, u32 column);
  /** Where factors of 16 bits are within a block; -1 for none. */
  int factors[2];
  /** Sums that 32 columns are added to the result with. */
  u32 sums;
};

static const Format formats[] = {
    {"f32", format_f32, 1, 4, 4, f32, {-1, -1}, 32},         {"f16", format_f16, 1, 2, 2, f16, {0, -1}, 32},
    {"bf16", format_bf16, 1, 2, 2, bf16, {-1, -1}, 32},      {"q8_0", format_q8_0, 32, 34, 34, q8_0, {0, -1}, 1},
    {"q4_0", format_q4_0, 32, 18, 18, q4_0, {0, -1}, 1},     {"q4_1", format_q4_1, 32, 20, 20, q4_1, {0, 2}, 2},
    {"q5_0", format_q5_0, 32, 22, 22, q5_0, {0, -1}, 1},     {"q5_1", format_q5_1, 32, 24, 24, q5_1, {0, 2}, 2},
    {"q2_k", format_q2_k, 256, 84, 84, q2_k, {80, 82}, 4},   {"q3_k", format_q3_k, 256, 110, 110, q3_k, {108, -1}, 2},
    {"q4_k", format_q4_k, 256, 144, 144, q4_k, {0, 2}, 2},   {"q5_k", format_q5_k, 256, 176, 176, q5_k, {0, 2}, 2},
    {"q6_k", format_q6_k, 256, 210, 210, q6_k, {208, -1}, 2}, {"q8_k", format_q8_k, 256, 292, 260, q8_k, {-1, -1}, 1},
    {"iq4_nl", format_iq4_nl, 32, 18, 18, iq4_nl, {0, -1}, 1},
};

/**
 * Blocks of random bits, with factors of a size that weights have; a
 * few are zero, or subnormal. */
inline void fill(const Format& format, u8* to, u64 blocks, std::mt19937_64& random) {
  const u64 bytes = blocks * format.bytes;
  for (u64 i = 0; i + 8 <= bytes; i += 8) {
    const u64 bits = random();
    memcpy(to + i, &bits, 8);
  }
  for (u64 i = bytes & ~7ull; i < bytes; i++) to[i] = (u8)random();
  for (u64 b = 0; b < blocks; b++) {
    u8* block = to + b * format.bytes;
    // Quants as large as they can be, side by side.
    static const u8 extremes[] = {0xff, 0x80, 0x00, 0x7f};
    const u64 choice = random();
    if (format.columns > 1 && choice % 16 == 0) memset(block, extremes[choice >> 32 & 3], format.bytes);
    for (int offset : format.factors) {
      if (offset < 0) continue;
      const u64 bits = random();
      u16 factor = (u16)((bits & 0x83ff) | (8 + (bits >> 16) % 5) << 10);
      if ((bits >> 32) % 64 == 0) factor = 0;
      if ((bits >> 32) % 64 == 1) factor &= 0x83ff;
      memcpy(block + offset, &factor, 2);
    }
    const u64 bits = random();
    const u32 exponent = 117 + bits % 8, word = (u32)(bits >> 32 & 0x807fffff) | exponent << 23;
    if (format.number == format_f32 || format.number == format_q8_k) memcpy(block, &word, 4);
    if (format.number == format_bf16) memcpy(block, (const u8*)&word + 2, 2);
  }
}

}  // namespace stored
