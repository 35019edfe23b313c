// Weights as they lie on the card. A block's fields are put into planes (repack.cu, weights.ts): all quants of the matrix first,
// then all high bits, and so on, so that quants are read 16 bytes at a time. Bits keep their order; nothing is rounded.
//
// A thread reads a unit: 32 values of a row, in eight quads of four. `quad_column` says which columns a quad has, since units of
// some formats are two runs of 16 values, and units of floats are spread over 1024 columns so that the lanes of a warp read one
// line together (unless CONTIGUOUS). Values are quants times a scale that two halves of a unit have each; formats with offsets
// give whole values, rounded as ggml does, and a scale of one.
#pragma once
#include "common.cuh"

#define f32 1
#define f16 2
#define bf16 3
#define q8_0 4
#define q4_0 5
#define q4_1 6
#define q5_0 7
#define q5_1 8
#define iq4_nl 9
#define q2_k 10
#define q3_k 11
#define q4_k 12
#define q5_k 13
#define q6_k 14
#define q8_k 15

#define IS(format) (FORMAT == format)
#define FLOATS (FORMAT <= bf16)
#define SUPER (FORMAT >= q2_k && FORMAT <= q6_k)

/// Planes of a matrix, from its first row on.
struct Weights {
  /// Quants, or the values themselves.
  const uint8_t *q;
  /// High bits: fifth bits, or third to sixth.
  const uint8_t *h;
  /// Scales that sub-blocks have.
  const uint8_t *s;
  /// Factors of the block.
  const uint8_t *d;
};

DEVICE uint4 vec4(const uint8_t *p) { return *reinterpret_cast<const uint4 *>(p); }
DEVICE uint2 vec2(const uint8_t *p) { return *reinterpret_cast<const uint2 *>(p); }
DEVICE uint32_t word(const uint8_t *p) { return *reinterpret_cast<const uint32_t *>(p); }
DEVICE float half_at(const uint8_t *p) { return half_value(*reinterpret_cast<const uint16_t *>(p)); }
DEVICE uint32_t part(uint4 v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

/// Integers 0 to 255 from the bytes of a word, less a number, as floats: a quant in the last bits of 2^23 is that much more.
DEVICE float byte_value(uint32_t bits, float less) { return __uint_as_float(0x4b000000u | bits) - (8388608.0f + less); }
DEVICE float4 bytes_value(uint32_t w, float less) {
  return make_float4(byte_value(w & 255u, less), byte_value((w >> 8) & 255u, less), byte_value((w >> 16) & 255u, less),
                     byte_value(w >> 24, less));
}
/// s q - m for four quants, each product and difference rounded, as ggml does.
DEVICE float4 offset_value(float4 q, float s, float m) {
  return make_float4(q.x * s - m, q.y * s - m, q.z * s - m, q.w * s - m);
}

/// Units of a row of K columns.
DEVICE uint32_t unit_count(uint32_t K) {
#if FLOATS && !defined(CONTIGUOUS)
  return (K + 1023) / 1024 * 32;
#else
  return (K + 31) / 32;
#endif
}

/// First column of quad i of unit u; may lie behind the row's end.
DEVICE uint32_t quad_column(uint32_t u, int i) {
#if IS(f32) && !defined(CONTIGUOUS)
  return (u >> 5) * 1024 + i * 128 + (u & 31) * 4;
#elif FLOATS && !defined(CONTIGUOUS)
  return (u >> 5) * 1024 + (i >> 1) * 256 + (u & 31) * 8 + (i & 1) * 4;
#elif IS(q4_k) || IS(q5_k)
  return (u >> 1) * 64 + (u & 1) * 16 + (i >> 2) * 32 + (i & 3) * 4;
#elif IS(q6_k)
  return (u >> 2) * 128 + ((u >> 1) & 1) * 32 + (u & 1) * 16 + (i >> 2) * 64 + (i & 3) * 4;
#elif IS(q2_k) || IS(q3_k)
  return (u >> 2) * 128 + ((u >> 1) & 1) * 64 + (u & 1) * 16 + (i >> 2) * 32 + (i & 3) * 4;
#else
  return u * 32 + i * 4;
#endif
}

#if IS(f32)
struct Unit { float4 v[8]; };
#elif FLOATS
struct Unit { uint2 v[8]; };
#elif IS(q8_0) || IS(q8_k)
struct Unit { uint4 q[2]; float d; };
#elif IS(q4_0) || IS(iq4_nl)
struct Unit { uint4 q; float d; };
#elif IS(q5_0)
struct Unit { uint4 q; uint32_t h; float d; };
#elif IS(q4_1)
struct Unit { uint4 q; float d, m; };
#elif IS(q5_1)
struct Unit { uint4 q; uint32_t h; float d, m; };
#elif IS(q2_k) || IS(q4_k)
struct Unit { uint4 q; int shift; float s[2], m[2]; };
#elif IS(q5_k)
struct Unit { uint4 q, h; int shift; float s[2], m[2]; };
#elif IS(q3_k)
struct Unit { uint4 q, h; int shift, bit; float s[2]; };
#elif IS(q6_k)
struct Unit { uint4 q, h; int shift; float s[2]; };
#endif

#if IS(q4_k) || IS(q5_k)
/// Scale and minimum of sub-block j from the 12 bytes behind d and dmin.
DEVICE void k_factors(uint4 head, int j, float &s, float &m) {
  const uint32_t low = head.y, middle = head.z, high = head.w; // bytes 0-3, 4-7, 8-11
  const int shift = (j & 3) * 8;
  const uint32_t a = (low >> shift) & 255u, b = (middle >> shift) & 255u, c = (high >> shift) & 255u;
  const uint32_t scale = j < 4 ? a & 63u : (c & 15u) | ((a >> 6) << 4);
  const uint32_t minimum = j < 4 ? b & 63u : (c >> 4) | ((b >> 6) << 4);
  s = half_value(head.x & 0xffffu) * float(scale);
  m = half_value(head.x >> 16) * float(minimum);
}
#endif

#if IS(q3_k)
DEVICE float q3_scale(const uint8_t *s, int j) {
  const int low = (s[j & 7] >> ((j >> 3) * 4)) & 15;
  const int high = (s[8 + (j & 3)] >> ((j >> 2) * 2)) & 3;
  return float((low | (high << 4)) - 32);
}
#endif

/// Unit u of a row; `pitch` is the blocks of a row, of floats the values.
DEVICE void load_unit(const Weights &W, uint64_t row, uint32_t pitch, uint32_t u, Unit &unit) {
#if FLOATS
  const uint64_t start = row * pitch;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const uint32_t k = quad_column(u, i);
#if IS(f32)
    unit.v[i] = k < pitch ? *reinterpret_cast<const float4 *>(W.q + (start + k) * 4) : make_float4(0, 0, 0, 0);
#elif defined(CONTIGUOUS)
    unit.v[i] = k < pitch ? vec2(W.q + (start + k) * 2) : make_uint2(0, 0);
#else
    if (i & 1) continue;
    const uint4 pair = k < pitch ? vec4(W.q + (start + k) * 2) : make_uint4(0, 0, 0, 0);
    unit.v[i] = make_uint2(pair.x, pair.y);
    unit.v[i + 1] = make_uint2(pair.z, pair.w);
#endif
  }
#elif SUPER
  const uint64_t block = row * pitch + (u >> 3);
  const int v = u & 7;
#if IS(q4_k) || IS(q5_k)
  const int pair = v >> 1, half = v & 1;
  unit.q = vec4(W.q + block * 128 + pair * 32 + half * 16);
  const uint4 head = vec4(W.d + block * 16);
  k_factors(head, pair * 2, unit.s[0], unit.m[0]);
  k_factors(head, pair * 2 + 1, unit.s[1], unit.m[1]);
  unit.shift = pair * 2;
#if IS(q5_k)
  unit.h = vec4(W.h + block * 32 + half * 16);
#endif
#elif IS(q6_k)
  const int side = v >> 2, quarter = (v >> 1) & 1, half = v & 1;
  unit.q = vec4(W.q + block * 128 + side * 64 + quarter * 32 + half * 16);
  unit.h = vec4(W.h + block * 64 + side * 32 + half * 16);
  unit.shift = quarter * 2;
  const int8_t *s = reinterpret_cast<const int8_t *>(W.s + block * 16) + side * 8 + quarter * 2 + half;
  const float d = half_at(W.d + block * 2);
  unit.s[0] = d * float(s[0]);
  unit.s[1] = d * float(s[4]);
#elif IS(q2_k)
  const int side = v >> 2, pair = (v >> 1) & 1, half = v & 1;
  unit.q = vec4(W.q + block * 64 + side * 32 + half * 16);
  unit.shift = pair * 4;
  const uint8_t *s = W.s + block * 16 + side * 8 + pair * 4 + half;
  const uint32_t d = word(W.d + block * 4);
  for (int i = 0; i < 2; i++) {
    unit.s[i] = half_value(d & 0xffffu) * float(s[i * 2] & 15);
    unit.m[i] = half_value(d >> 16) * float(s[i * 2] >> 4);
  }
#elif IS(q3_k)
  const int side = v >> 2, pair = (v >> 1) & 1, half = v & 1;
  unit.q = vec4(W.q + block * 64 + side * 32 + half * 16);
  unit.h = vec4(W.h + block * 32 + half * 16);
  unit.shift = pair * 4;
  unit.bit = side * 4 + pair * 2;
  const int j = side * 8 + pair * 4 + half;
  const float d = half_at(W.d + block * 2);
  unit.s[0] = d * q3_scale(W.s + block * 12, j);
  unit.s[1] = d * q3_scale(W.s + block * 12, j + 2);
#endif
#elif IS(q8_k)
  const uint64_t block = row * pitch + (u >> 3);
  unit.q[0] = vec4(W.q + block * 256 + (u & 7) * 32);
  unit.q[1] = vec4(W.q + block * 256 + (u & 7) * 32 + 16);
  unit.d = *reinterpret_cast<const float *>(W.d + block * 4);
#else
  const uint64_t block = row * pitch + u;
#if IS(q8_0)
  unit.q[0] = vec4(W.q + block * 32);
  unit.q[1] = vec4(W.q + block * 32 + 16);
#else
  unit.q = vec4(W.q + block * 16);
#endif
#if IS(q5_0) || IS(q5_1)
  unit.h = word(W.h + block * 4);
#endif
#if IS(q4_1) || IS(q5_1)
  const uint32_t d = word(W.d + block * 4);
  unit.d = half_value(d & 0xffffu);
  unit.m = half_value(d >> 16);
#else
  unit.d = half_at(W.d + block * 2);
#endif
#endif
}

/// Scale of quads 0-3 (half 0) or 4-7 (half 1).
DEVICE float unit_scale(const Unit &unit, int half) {
#if IS(q4_0) || IS(q5_0) || IS(iq4_nl) || IS(q8_0) || IS(q8_k)
  return unit.d;
#elif IS(q3_k) || IS(q6_k)
  return unit.s[half];
#else
  return 1.0f;
#endif
}

#if IS(iq4_nl)
DEVICE float4 table_value(uint32_t nibbles) {
  // The 16 levels plus 127, four to a word: -127 -104 -83 -65, -49 -35 -22 -10, 1 13 25 38, 53 69 89 113.
  float v[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const uint32_t n = (nibbles >> (8 * i)) & 15u;
    const uint32_t levels = n < 4 ? 0x3e2c1700u : n < 8 ? 0x75695c4eu : n < 12 ? 0xa5988c80u : 0xf0d8c4b4u;
    v[i] = byte_value((levels >> ((n & 3u) * 8u)) & 255u, 127.0f);
  }
  return make_float4(v[0], v[1], v[2], v[3]);
}
#endif

/// Values of quad i, to be multiplied by the scale of its half.
DEVICE float4 quad(const Unit &unit, int i) {
#if IS(f32)
  return unit.v[i];
#elif IS(f16)
  const uint2 v = unit.v[i];
  return make_float4(half_value(v.x & 0xffffu), half_value(v.x >> 16), half_value(v.y & 0xffffu), half_value(v.y >> 16));
#elif IS(bf16)
  const uint2 v = unit.v[i];
  return make_float4(__uint_as_float(v.x << 16), __uint_as_float(v.x & 0xffff0000u), __uint_as_float(v.y << 16),
                     __uint_as_float(v.y & 0xffff0000u));
#elif IS(q8_0) || IS(q8_k)
  return bytes_value(part(unit.q[i >> 2], i & 3) ^ 0x80808080u, 128.0f);
#else
  const int half = i >> 2;
  const uint32_t w = part(unit.q, i & 3);
#if IS(q2_k)
  return offset_value(bytes_value((w >> (unit.shift + half * 2)) & 0x03030303u, 0.0f), unit.s[half], unit.m[half]);
#elif IS(q3_k)
  const uint32_t high = (part(unit.h, i & 3) >> (unit.bit + half)) & 0x01010101u;
  return bytes_value(((w >> (unit.shift + half * 2)) & 0x03030303u) | (high << 2), 4.0f);
#else
  const uint32_t low = (w >> (half * 4)) & 0x0f0f0f0fu;
#if IS(q4_0)
  return bytes_value(low, 8.0f);
#elif IS(q4_1)
  return offset_value(bytes_value(low, 0.0f), unit.d, -unit.m);
#elif IS(iq4_nl)
  return table_value(low);
#elif IS(q5_0) || IS(q5_1)
  // Bits 4 i to 4 i + 3 of h, one to a byte.
  const uint32_t b = (unit.h >> (4 * i)) & 15u;
  const uint32_t high = ((b & 1u) << 4) | ((b & 2u) << 11) | ((b & 4u) << 18) | ((b & 8u) << 25);
#if IS(q5_0)
  return bytes_value(low | high, 16.0f);
#else
  return offset_value(bytes_value(low | high, 0.0f), unit.d, -unit.m);
#endif
#elif IS(q4_k)
  return offset_value(bytes_value(low, 0.0f), unit.s[half], unit.m[half]);
#elif IS(q5_k)
  const uint32_t high = (part(unit.h, i & 3) >> (unit.shift + half)) & 0x01010101u;
  return offset_value(bytes_value(low | (high << 4), 0.0f), unit.s[half], unit.m[half]);
#elif IS(q6_k)
  const uint32_t high = (part(unit.h, i & 3) >> (unit.shift + half * 4)) & 0x03030303u;
  return bytes_value(low | (high << 4), 32.0f);
#endif
#endif
#endif
}
