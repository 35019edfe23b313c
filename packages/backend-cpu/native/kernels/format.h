// Formats of weights as kernels read them. Rows stand in groups of 16, interleaved: a group's block holds the same
// columns of 16 rows in exactly the bytes that 16 stored blocks have (q8_k without its sums), scales first. Quants lie
// in vectors of 64 bytes, byte 4 r + j of vector i being row r's column 4 i + j, so that a product with four columns of
// the input is one instruction, whatever the width of registers: a slice is the L rows that one register takes.
//
//   low four bits of 32 columns    4 vectors: low nibbles columns 0 to 15, high nibbles 16 to 31
//   two bits of 32 columns         2 vectors: bits 2 t of vector h belong to columns 16 h + 4 t + j
//   one bit of 32 columns          1 vector: bit i belongs to column 4 i + j
//
// A value is scale (q - bias) - minimum. What `scale` and `minimum` give is of 32 columns, or of each 16 (Subs = 2).
#pragma once
#include "../half.h"

namespace KERNELS {

constexpr u32 group_rows = 16;
constexpr u32 slices = group_rows / L;

INLINE u32 slice_bytes(u32 slice) { return 4 * L * slice; }

/** Low four bits: four vectors become eight. */
INLINE void nibbles(const u8* p, u32 slice, B* q) {
  const B low = bset1(15);
  for (int i = 0; i < 4; i++) {
    const B v = bload(p + 64 * i + slice_bytes(slice));
    q[i] = band(v, low);
    q[i + 4] = band(bshr<4>(v), low);
  }
}

/** Two bits, at bit At of each quant. */
template <int At, bool Or> INLINE void two_bits(const u8* p, u32 slice, B* q) {
  const B mask = bset1(3 << At);
  for (int h = 0; h < 2; h++) {
    const B v = bload(p + 64 * h + slice_bytes(slice));
    B t[4];
    if (At == 4) {
      t[0] = bshl<4>(v), t[1] = bshl<2>(v), t[2] = v, t[3] = bshr<2>(v);
    } else {
      t[0] = v, t[1] = bshr<2>(v), t[2] = bshr<4>(v), t[3] = bshr<6>(v);
    }
    for (int i = 0; i < 4; i++) {
      const B bits = band(t[i], mask);
      q[4 * h + i] = Or ? bor(q[4 * h + i], bits) : bits;
    }
  }
}

/** One bit, at bit At of each quant: 2 or 4. */
template <int At> INLINE void one_bit(const u8* p, u32 slice, B* q) {
  const B mask = bset1(1 << At);
  const B v = bload(p + slice_bytes(slice));
  B t[8];
  if (At == 4) {
    t[0] = bshl<4>(v), t[1] = bshl<3>(v), t[2] = bshl<2>(v), t[3] = bshl<1>(v);
    t[4] = v, t[5] = bshr<1>(v), t[6] = bshr<2>(v), t[7] = bshr<3>(v);
  } else {
    t[0] = bshl<2>(v), t[1] = bshl<1>(v), t[2] = v, t[3] = bshr<1>(v);
    t[4] = bshr<2>(v), t[5] = bshr<3>(v), t[6] = bshr<4>(v), t[7] = bshr<5>(v);
  }
  for (int i = 0; i < 8; i++) q[i] = bor(q[i], band(t[i], mask));
}

/** Factor number k of the group's blocks, f16 [16]. */
INLINE F factor(const u8* block, u32 k, u32 slice) { return load_f16((const u16*)block + 16 * k + L * slice); }

/** A byte of each row of a slice, [16] bytes at p. */
INLINE I byte_of(const u8* p, u32 slice) { return iload_u8(p + L * slice); }

template <int MostQuant, bool IsSigned, int BiasOf, int SubBlocks, bool HasMinimum> struct Kind {
  static constexpr int most = MostQuant;
  static constexpr bool is_signed = IsSigned;
  static constexpr int subs = SubBlocks;
  static constexpr bool has_minimum = HasMinimum;
  /** What is taken off each quant when it is multiplied. */
  static constexpr int bias = IsSigned ? (shifts_signed ? 128 : 0) : BiasOf;
};

/** Signed quants in the form in which they are multiplied. */
INLINE B signed_quant(B q) { return shifts_signed ? bxor(q, bset1(128)) : q; }

struct Q4_0 : Kind<15, false, 8, 1, false> {
  static constexpr u32 columns = 32, bytes = 16 * 18;
  static INLINE_MEMBER void quants(const u8* b, u32, u32 s, B* q) { nibbles(b + 32, s, q); }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return factor(b, 0, s); }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

struct Q4_1 : Kind<15, false, 0, 1, true> {
  static constexpr u32 columns = 32, bytes = 16 * 20;
  static INLINE_MEMBER void quants(const u8* b, u32, u32 s, B* q) { nibbles(b + 64, s, q); }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return factor(b, 0, s); }
  static INLINE_MEMBER F minimum(const u8* b, u32, u32, u32 s) { return sub(set1(0), factor(b, 1, s)); }
};

struct Q5_0 : Kind<31, false, 16, 1, false> {
  static constexpr u32 columns = 32, bytes = 16 * 22;
  static INLINE_MEMBER void quants(const u8* b, u32, u32 s, B* q) {
    nibbles(b + 96, s, q);
    one_bit<4>(b + 32, s, q);
  }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return factor(b, 0, s); }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

struct Q5_1 : Kind<31, false, 0, 1, true> {
  static constexpr u32 columns = 32, bytes = 16 * 24;
  static INLINE_MEMBER void quants(const u8* b, u32, u32 s, B* q) {
    nibbles(b + 128, s, q);
    one_bit<4>(b + 64, s, q);
  }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return factor(b, 0, s); }
  static INLINE_MEMBER F minimum(const u8* b, u32, u32, u32 s) { return sub(set1(0), factor(b, 1, s)); }
};

struct Q8_0 : Kind<128, true, 0, 1, false> {
  static constexpr u32 columns = 32, bytes = 16 * 34;
  static INLINE_MEMBER void quants(const u8* b, u32, u32 s, B* q) {
    for (int i = 0; i < 8; i++) q[i] = signed_quant(bload(b + 32 + 64 * i + slice_bytes(s)));
  }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return factor(b, 0, s); }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

constexpr i8 shifted(int value) { return (i8)(shifts_signed ? value + 128 : value); }
alignas(16) constexpr i8 iq4_values[16] = {
    shifted(-127), shifted(-104), shifted(-83), shifted(-65), shifted(-49), shifted(-35), shifted(-22), shifted(-10),
    shifted(1),    shifted(13),   shifted(25),  shifted(38),  shifted(53),  shifted(69),  shifted(89),  shifted(113)};

struct Iq4Nl : Kind<127, true, 0, 1, false> {
  static constexpr u32 columns = 32, bytes = 16 * 18;
  static INLINE_MEMBER void quants(const u8* b, u32, u32 s, B* q) {
    nibbles(b + 32, s, q);
    for (int i = 0; i < 8; i++) q[i] = lookup(iq4_values, q[i]);
  }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return factor(b, 0, s); }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

/**
 * Scales and minimums of six bits of eight sub-blocks, behind two factors:
 *   64 + 16 j: low four bits of the scale, and of the minimum above them, of sub-block j
 *   192 + 16 t: high two bits, from the lowest on: scale and minimum of sub-block 2 t, scale and minimum of 2 t + 1
 */
INLINE F scale_of_six(const u8* b, u32 j, u32 s) {
  const I low = iand(byte_of(b + 64 + 16 * j, s), 15);
  const I high = iand(ishr_by(byte_of(b + 192 + 16 * (j >> 1), s), 4 * (j & 1)), 3);
  return mul(factor(b, 0, s), to_float(ior(low, ishl<4>(high))));
}
INLINE F minimum_of_six(const u8* b, u32 j, u32 s) {
  const I low = ishr<4>(byte_of(b + 64 + 16 * j, s));
  const I high = iand(ishr_by(byte_of(b + 192 + 16 * (j >> 1), s), 4 * (j & 1) + 2), 3);
  return mul(factor(b, 1, s), to_float(ior(low, ishl<4>(high))));
}

struct Q4K : Kind<15, false, 0, 1, true> {
  static constexpr u32 columns = 256, bytes = 16 * 144;
  static INLINE_MEMBER void quants(const u8* b, u32 j, u32 s, B* q) { nibbles(b + 256 + 256 * j, s, q); }
  static INLINE_MEMBER F scale(const u8* b, u32 j, u32, u32 s) { return scale_of_six(b, j, s); }
  static INLINE_MEMBER F minimum(const u8* b, u32 j, u32, u32 s) { return minimum_of_six(b, j, s); }
};

struct Q5K : Kind<31, false, 0, 1, true> {
  static constexpr u32 columns = 256, bytes = 16 * 176;
  static INLINE_MEMBER void quants(const u8* b, u32 j, u32 s, B* q) {
    nibbles(b + 256 + 320 * j + 64, s, q);
    one_bit<4>(b + 256 + 320 * j, s, q);
  }
  static INLINE_MEMBER F scale(const u8* b, u32 j, u32, u32 s) { return scale_of_six(b, j, s); }
  static INLINE_MEMBER F minimum(const u8* b, u32 j, u32, u32 s) { return minimum_of_six(b, j, s); }
};

/** A factor, 16 scales of 8 bits at 32 + 16 t, and quants from 288 on, 384 bytes for 32 columns. */
struct Q6K : Kind<63, false, 32, 2, false> {
  static constexpr u32 columns = 256, bytes = 16 * 210;
  static INLINE_MEMBER void quants(const u8* b, u32 j, u32 s, B* q) {
    nibbles(b + 288 + 384 * j, s, q);
    two_bits<4, true>(b + 288 + 384 * j + 256, s, q);
  }
  static INLINE_MEMBER F scale(const u8* b, u32 j, u32 sub, u32 s) {
    return mul(factor(b, 0, s), to_float(iload_i8(b + 32 + 16 * (2 * j + sub) + L * s)));
  }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

/**
 * A factor and scales of six bits, 32 more than they are, of sub-blocks t:
 *   32 + 16 t, t < 8: low four bits of t, and of t + 8 above them
 *   160 + 16 u: high two bits, from the lowest on, of 4 u to 4 u + 3
 * Quants from 224 on, 192 bytes for 32 columns: two bits, then one.
 */
struct Q3K : Kind<7, false, 4, 2, false> {
  static constexpr u32 columns = 256, bytes = 16 * 110;
  static INLINE_MEMBER void quants(const u8* b, u32 j, u32 s, B* q) {
    two_bits<0, false>(b + 224 + 192 * j, s, q);
    one_bit<2>(b + 224 + 192 * j + 128, s, q);
  }
  static INLINE_MEMBER F scale(const u8* b, u32 j, u32 half, u32 s) {
    const u32 t = 2 * j + half;
    const I low = iand(ishr_by(byte_of(b + 32 + 16 * (t & 7), s), 4 * (t >> 3)), 15);
    const I high = iand(ishr_by(byte_of(b + 160 + 16 * (t >> 2), s), 2 * (t & 3)), 3);
    return mul(factor(b, 0, s), to_float(isub(ior(low, ishl<4>(high)), iset1(32))));
  }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

/** Two factors, bytes of scale and minimum at 64 + 16 t, and quants from 320 on, 128 bytes for 32 columns. */
struct Q2K : Kind<3, false, 0, 2, true> {
  static constexpr u32 columns = 256, bytes = 16 * 84;
  static INLINE_MEMBER void quants(const u8* b, u32 j, u32 s, B* q) { two_bits<0, false>(b + 320 + 128 * j, s, q); }
  static INLINE_MEMBER F scale(const u8* b, u32 j, u32 half, u32 s) {
    return mul(factor(b, 0, s), to_float(iand(byte_of(b + 64 + 16 * (2 * j + half), s), 15)));
  }
  static INLINE_MEMBER F minimum(const u8* b, u32 j, u32 half, u32 s) {
    return mul(factor(b, 1, s), to_float(ishr<4>(byte_of(b + 64 + 16 * (2 * j + half), s))));
  }
};

/** A factor in f32, then 512 bytes for 32 columns. */
struct Q8K : Kind<128, true, 0, 1, false> {
  static constexpr u32 columns = 256, bytes = 16 * 260;
  static INLINE_MEMBER void quants(const u8* b, u32 j, u32 s, B* q) {
    for (int i = 0; i < 8; i++) q[i] = signed_quant(bload(b + 64 + 512 * j + 64 * i + slice_bytes(s)));
  }
  static INLINE_MEMBER F scale(const u8* b, u32, u32, u32 s) { return load((const float*)b + L * s); }
  static INLINE_MEMBER F minimum(const u8*, u32, u32, u32) { return set1(0); }
};

/** Floats: a group's block is a column. */
struct F32 {
  static constexpr u32 columns = 1, bytes = 16 * 4;
  static INLINE_MEMBER F value(const u8* b, u32 s) { return load((const float*)b + L * s); }
};
struct F16 {
  static constexpr u32 columns = 1, bytes = 16 * 2;
  static INLINE_MEMBER F value(const u8* b, u32 s) { return load_f16((const u16*)b + L * s); }
};
struct Bf16 {
  static constexpr u32 columns = 1, bytes = 16 * 2;
  static INLINE_MEMBER F value(const u8* b, u32 s) { return load_bf16((const u16*)b + L * s); }
};

}  // namespace KERNELS
