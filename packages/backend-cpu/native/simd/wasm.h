// WebAssembly's vectors of 128 bits: 4 lanes. There are no fused multiply-adds, no numbers of 16 bits and no products
// of bytes; products of 16 bits with sums of pairs are one instruction of every processor. So quants are taken apart
// into even and odd columns, each in 16 bits: their pairs lie in the 32 bits of their row.
#include <wasm_simd128.h>

#include "../half.h"

namespace KERNELS {

constexpr u32 L = 4;
typedef v128_t V;
struct F { V v; };
struct I { V v; };
struct B { V v; };  // of 4 rows 4 columns each

INLINE F set1(float x) { return {wasm_f32x4_splat(x)}; }
INLINE F load(const float* p) { return {wasm_v128_load(p)}; }
INLINE void store(float* p, F x) { wasm_v128_store(p, x.v); }
INLINE F add(F a, F b) { return {wasm_f32x4_add(a.v, b.v)}; }
INLINE F sub(F a, F b) { return {wasm_f32x4_sub(a.v, b.v)}; }
INLINE F mul(F a, F b) { return {wasm_f32x4_mul(a.v, b.v)}; }
INLINE F div(F a, F b) { return {wasm_f32x4_div(a.v, b.v)}; }
INLINE F fma(F a, F b, F c) { return add(mul(a, b), c); }
INLINE F root(F a) { return {wasm_f32x4_sqrt(a.v)}; }
// As x86 has them: the second where they are equal or one is NaN.
INLINE F max(F a, F b) { return {wasm_f32x4_pmax(b.v, a.v)}; }
INLINE F min(F a, F b) { return {wasm_f32x4_pmin(b.v, a.v)}; }
INLINE F abs(F a) { return {wasm_f32x4_abs(a.v)}; }
INLINE F load_f16(const u16* p) {
  const V h = wasm_u32x4_load16x4(p);
  const V bits = wasm_i32x4_shl(wasm_v128_and(h, wasm_i32x4_splat(0x7fff)), 13);
  const V sign = wasm_i32x4_shl(wasm_v128_and(h, wasm_i32x4_splat(0x8000)), 16);
  // The exponent's bias is set right by a product, which makes subnormal numbers normal ones; infinity and NaN have the
  // largest exponent anyhow.
  const V value = wasm_f32x4_mul(bits, wasm_f32x4_splat(0x1p112f));
  const V special = wasm_i32x4_gt(bits, wasm_i32x4_splat(0x0f7fffff));
  const V exponent = wasm_v128_and(special, wasm_i32x4_splat(0x7f800000));
  return {wasm_v128_or(wasm_v128_or(value, sign), exponent)};
}
INLINE F load_bf16(const u16* p) { return {wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16)}; }
INLINE void store_f16(u16* p, F x) {
  float lanes[4];
  store(lanes, x);
  for (int i = 0; i < 4; i++) p[i] = to_f16(lanes[i]);
}

INLINE I iset1(i32 x) { return {wasm_i32x4_splat(x)}; }
INLINE I iload(const i32* p) { return {wasm_v128_load(p)}; }
INLINE void istore(i32* p, I x) { wasm_v128_store(p, x.v); }
INLINE I iadd(I a, I b) { return {wasm_i32x4_add(a.v, b.v)}; }
INLINE I isub(I a, I b) { return {wasm_i32x4_sub(a.v, b.v)}; }
INLINE I iand(I a, i32 b) { return {wasm_v128_and(a.v, wasm_i32x4_splat(b))}; }
INLINE I ior(I a, I b) { return {wasm_v128_or(a.v, b.v)}; }
template <int K> INLINE I ishr(I a) { return {wasm_u32x4_shr(a.v, K)}; }
template <int K> INLINE I ishl(I a) { return {wasm_i32x4_shl(a.v, K)}; }
INLINE I iload_u8(const u8* p) {
  return {wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p)))};
}
INLINE I iload_i8(const u8* p) {
  return {wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p)))};
}
INLINE I ishr_by(I a, u32 k) { return {wasm_u32x4_shr(a.v, k)}; }
INLINE I imax(I a, I b) { return {wasm_i32x4_max(a.v, b.v)}; }
INLINE F to_float(I a) { return {wasm_f32x4_convert_i32x4(a.v)}; }
INLINE F as_float(I a) { return {a.v}; }
INLINE I as_int(F a) { return {a.v}; }

INLINE i32 imax_of(I a) {
  const V two = wasm_i32x4_max(a.v, wasm_i32x4_shuffle(a.v, a.v, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane(wasm_i32x4_max(two, wasm_i32x4_shuffle(two, two, 1, 0, 3, 2)), 0);
}

INLINE B bload(const u8* p) { return {wasm_v128_load(p)}; }
INLINE void bstore(u8* p, B x) { wasm_v128_store(p, x.v); }
INLINE B bset1(u8 x) { return {wasm_i8x16_splat((i8)x)}; }
INLINE B band(B a, B b) { return {wasm_v128_and(a.v, b.v)}; }
INLINE B bor(B a, B b) { return {wasm_v128_or(a.v, b.v)}; }
INLINE B bxor(B a, B b) { return {wasm_v128_xor(a.v, b.v)}; }
template <int K> INLINE B bshr(B a) { return {wasm_u16x8_shr(a.v, K)}; }  // bits of the neighbour come in: mask
template <int K> INLINE B bshl(B a) { return {wasm_i16x8_shl(a.v, K)}; }
/** Bytes as words: of each row the four columns. */
INLINE I words(B a) { return {a.v}; }
/** table[index], 16 entries. */
INLINE B lookup(const i8* table, B index) { return {wasm_i8x16_swizzle(wasm_v128_load(table), index.v)}; }

/** The lowest bytes of 32 words, which are from -128 to 127. */
INLINE void store_bytes(i8* p, const I* x) {
  for (int i = 0; i < 2; i++) {
    const V low = wasm_i16x8_narrow_i32x4(x[4 * i].v, x[4 * i + 1].v);
    const V high = wasm_i16x8_narrow_i32x4(x[4 * i + 2].v, x[4 * i + 3].v);
    wasm_v128_store(p + 16 * i, wasm_i8x16_narrow_i16x8(low, high));
  }
}
/** Sums of 16 bytes, and of the next 16. */
INLINE void sums_of_bytes(const i8* p, i32* sums) {
  for (int i = 0; i < 2; i++) {
    const V four = wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extadd_pairwise_i8x16(wasm_v128_load(p + 16 * i)));
    const V two = wasm_i32x4_add(four, wasm_i32x4_shuffle(four, four, 2, 3, 0, 1));
    sums[i] = wasm_i32x4_extract_lane(wasm_i32x4_add(two, wasm_i32x4_shuffle(two, two, 1, 0, 3, 2)), 0);
  }
}

constexpr bool shifts_signed = false;

/** Bytes with even and with odd numbers, in 16 bits. */
struct Pairs {
  V even, odd;
};
template <bool Signed> INLINE Pairs pairs(V bytes) {
  if (!Signed) return {wasm_v128_and(bytes, wasm_i16x8_splat(255)), wasm_u16x8_shr(bytes, 8)};
  return {wasm_i16x8_shr(wasm_i16x8_shl(bytes, 8), 8), wasm_i16x8_shr(bytes, 8)};
}
INLINE V add_products(V sum, Pairs a, Pairs b) {
  return wasm_i32x4_add(wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(a.even, b.even)), wasm_i32x4_dot_i16x8(a.odd, b.odd));
}

/** Rows, and slices of weights, whose products are summed at once. */
constexpr u32 tile_rows = 4, tile_slices = 2;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 4;

/** Order is up to the compiler of the page. */
template <class Register> INLINE void here(Register&) {}

/** sums += products of quants (i, s), i < COUNT, 4 rows x 4 columns each, and x [N][4 COUNT]. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  for (int i = 0; i < COUNT; i++) {
    Pairs q[S];
    for (u32 s = 0; s < S; s++) q[s] = pairs<Signed>(quants(i, s).v);
    for (u32 n = 0; n < N; n++) {
      const Pairs columns = pairs<true>(wasm_v128_load32_splat(x[n] + 4 * i));
      for (u32 s = 0; s < S; s++) sums[n][s].v = add_products(sums[n][s].v, q[s], columns);
    }
  }
}

INLINE void prefetch(const void*) {}
INLINE void prefetch_far(const void*) {}

}  // namespace KERNELS
