// NEON: 4 lanes. With KERNELS_DOT products of bytes are one instruction (FEAT_DotProd: ARMv8.4, and most of 8.2), with
// KERNELS_I8MM those of two rows with two rows (FEAT_I8MM: ARMv8.6, and some before).
#include <arm_neon.h>

namespace KERNELS {

constexpr u32 L = 4;
typedef float32x4_t F;
typedef int32x4_t I;
typedef uint8x16_t B;  // of 4 rows 4 columns each

INLINE F set1(float x) { return vdupq_n_f32(x); }
INLINE F load(const float* p) { return vld1q_f32(p); }
INLINE void store(float* p, F x) { vst1q_f32(p, x); }
INLINE F add(F a, F b) { return vaddq_f32(a, b); }
INLINE F sub(F a, F b) { return vsubq_f32(a, b); }
INLINE F mul(F a, F b) { return vmulq_f32(a, b); }
INLINE F div(F a, F b) { return vdivq_f32(a, b); }
INLINE F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
INLINE F root(F a) { return vsqrtq_f32(a); }
INLINE F max(F a, F b) { return vmaxq_f32(a, b); }
INLINE F min(F a, F b) { return vminq_f32(a, b); }
INLINE F abs(F a) { return vabsq_f32(a); }
INLINE F load_f16(const u16* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
INLINE F load_bf16(const u16* p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
INLINE void store_f16(u16* p, F x) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x))); }

INLINE I iset1(i32 x) { return vdupq_n_s32(x); }
INLINE I iload(const i32* p) { return vld1q_s32(p); }
INLINE void istore(i32* p, I x) { vst1q_s32(p, x); }
INLINE I iadd(I a, I b) { return vaddq_s32(a, b); }
INLINE I isub(I a, I b) { return vsubq_s32(a, b); }
INLINE I iand(I a, i32 b) { return vandq_s32(a, vdupq_n_s32(b)); }
INLINE I ior(I a, I b) { return vorrq_s32(a, b); }
template <int K> INLINE I ishr(I a) { return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), K)); }
template <int K> INLINE I ishl(I a) { return vshlq_n_s32(a, K); }
INLINE int16x4_t low_bytes(const u8* p, bool is_signed) {
  u32 four;
  __builtin_memcpy(&four, p, 4);
  const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
  return is_signed ? vget_low_s16(vmovl_s8(vreinterpret_s8_u8(bytes)))
                   : vreinterpret_s16_u16(vget_low_u16(vmovl_u8(bytes)));
}
INLINE I iload_u8(const u8* p) { return vmovl_s16(low_bytes(p, false)); }
INLINE I iload_i8(const u8* p) { return vmovl_s16(low_bytes(p, true)); }
INLINE I ishr_by(I a, u32 k) {
  return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-(i32)k)));
}
INLINE I imax(I a, I b) { return vmaxq_s32(a, b); }
INLINE i32 imax_of(I a) { return vmaxvq_s32(a); }
INLINE F to_float(I a) { return vcvtq_f32_s32(a); }
INLINE F as_float(I a) { return vreinterpretq_f32_s32(a); }
INLINE I as_int(F a) { return vreinterpretq_s32_f32(a); }

INLINE B bload(const u8* p) { return vld1q_u8(p); }
INLINE void bstore(u8* p, B x) { vst1q_u8(p, x); }
INLINE B bset1(u8 x) { return vdupq_n_u8(x); }
INLINE B band(B a, B b) { return vandq_u8(a, b); }
INLINE B bor(B a, B b) { return vorrq_u8(a, b); }
INLINE B bxor(B a, B b) { return veorq_u8(a, b); }
template <int K> INLINE B bshr(B a) { return vshrq_n_u8(a, K); }
template <int K> INLINE B bshl(B a) { return vshlq_n_u8(a, K); }
/** Bytes as words: of each row the four columns. */
INLINE I words(B a) { return vreinterpretq_s32_u8(a); }
/** table[index], 16 entries. */
INLINE B lookup(const i8* table, B index) { return vqtbl1q_u8(vld1q_u8((const u8*)table), index); }

/** The lowest bytes of 32 words, which are from -128 to 127. */
INLINE void store_bytes(i8* p, const I* x) {
  for (int i = 0; i < 2; i++) {
    const int16x8_t low = vcombine_s16(vmovn_s32(x[4 * i]), vmovn_s32(x[4 * i + 1]));
    const int16x8_t high = vcombine_s16(vmovn_s32(x[4 * i + 2]), vmovn_s32(x[4 * i + 3]));
    vst1q_s8(p + 16 * i, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  }
}
/** Sums of 16 bytes, and of the next 16. */
INLINE void sums_of_bytes(const i8* p, i32* sums) {
  sums[0] = vaddlvq_s8(vld1q_s8(p));
  sums[1] = vaddlvq_s8(vld1q_s8(p + 16));
}

/** Quants below 128 are signed bytes as they are, so that all products are of signed bytes. */
constexpr bool shifts_signed = false;

/** Computed here and not later: compilers otherwise mix what belongs to many rows, and run out of registers. */
template <class Register> INLINE void here(Register& x) { __asm__ volatile("" : "+w"(x) : : "memory"); }

#if defined(KERNELS_DOT)

/** Rows, and slices of weights, whose products are summed at once. */
constexpr u32 tile_rows = 4, tile_slices = 4;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 4;

template <int Lane, u32 N, u32 S, class Quants>
INLINE void add_column(I (&sums)[N][S], const Quants& quants, const int8x16_t (&columns)[N], int i) {
  int8x16_t q[S];
  for (u32 s = 0; s < S; s++) q[s] = vreinterpretq_s8_u8(quants(i + Lane, s));
  for (u32 n = 0; n < N; n++) {
    for (u32 s = 0; s < S; s++) sums[n][s] = vdotq_laneq_s32(sums[n][s], q[s], columns[n], Lane);
  }
}

template <int COUNT, u32 N, u32 S, class Quants>
INLINE void add_products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  for (int i = 0; i < COUNT; i += 4) {
    int8x16_t columns[N];
    for (u32 n = 0; n < N; n++) columns[n] = vld1q_s8(x[n] + 4 * i);
    add_column<0>(sums, quants, columns, i);
    add_column<1>(sums, quants, columns, i);
    add_column<2>(sums, quants, columns, i);
    add_column<3>(sums, quants, columns, i);
  }
}

#if defined(KERNELS_I8MM)
/** A pair of rows of the input meets pairs of rows of a slice, 8 columns at a time. */
template <int COUNT, u32 N, u32 S, class Quants>
INLINE void add_pairs(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  constexpr u32 pairs = N / 2;
  I squares[pairs][S][2];  // of rows 0 and 1 of a slice, of rows 2 and 3: each with both rows of the input
  for (int i = 0; i < COUNT; i += 2) {
    int8x16_t columns[pairs];
    for (u32 p = 0; p < pairs; p++) columns[p] = vcombine_s8(vld1_s8(x[2 * p] + 4 * i), vld1_s8(x[2 * p + 1] + 4 * i));
    for (u32 s = 0; s < S; s++) {
      const B first = quants(i, s), second = quants(i + 1, s);
      const int8x16_t q[2] = {vreinterpretq_s8_s32(vzip1q_s32(words(first), words(second))),
                              vreinterpretq_s8_s32(vzip2q_s32(words(first), words(second)))};
      for (u32 p = 0; p < pairs; p++) {
        for (u32 k = 0; k < 2; k++) {
          squares[p][s][k] = vmmlaq_s32(i == 0 ? iset1(0) : squares[p][s][k], q[k], columns[p]);
        }
      }
      if (N % 2 == 0) continue;
      const int8x8_t last = vld1_s8(x[N - 1] + 4 * i);
      sums[N - 1][s] = vdotq_lane_s32(sums[N - 1][s], vreinterpretq_s8_u8(first), last, 0);
      sums[N - 1][s] = vdotq_lane_s32(sums[N - 1][s], vreinterpretq_s8_u8(second), last, 1);
    }
  }
  for (u32 p = 0; p < pairs; p++) {
    for (u32 s = 0; s < S; s++) {
      sums[2 * p][s] = iadd(sums[2 * p][s], vuzp1q_s32(squares[p][s][0], squares[p][s][1]));
      sums[2 * p + 1][s] = iadd(sums[2 * p + 1][s], vuzp2q_s32(squares[p][s][0], squares[p][s][1]));
    }
  }
}
#endif

/** sums += products of quants (i, s), i < COUNT, 4 rows x 4 columns each, and x [N][4 COUNT]; COUNT is 4 or 8. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
#if defined(KERNELS_I8MM)
  if constexpr (N > 1) return add_pairs<COUNT>(sums, quants, x);
#endif
  add_products<COUNT>(sums, quants, x);
}

#else

constexpr u32 tile_rows = 4, tile_slices = 2;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 4;

/** sums += products of quants (i, s) up to Most, i < COUNT, 4 rows x 4 columns each, and x [N][4 COUNT]. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  // Products of one column are summed in 16 bits as far as that cannot overflow.
  constexpr int room = 32767 / (127 * Most), most_room = room >= 8 ? 8 : room >= 4 ? 4 : 2;
  constexpr int together = most_room < COUNT ? most_room : COUNT;
  static_assert(2 * 127 * Most <= 32767, "two products fit");
  for (int first = 0; first < COUNT; first += together) {
    int16x8_t low[N][S], high[N][S];  // of rows 0 and 1, of rows 2 and 3
    for (int i = first; i < first + together; i++) {
      int8x16_t q[S];
      for (u32 s = 0; s < S; s++) q[s] = vreinterpretq_s8_u8(quants(i, s));
      for (u32 n = 0; n < N; n++) {
        i32 four;
        __builtin_memcpy(&four, x[n] + 4 * i, 4);
        const int8x8_t columns = vreinterpret_s8_s32(vdup_n_s32(four));
        for (u32 s = 0; s < S; s++) {
          const int8x8_t q_low = vget_low_s8(q[s]), q_high = vget_high_s8(q[s]);
          low[n][s] = i == first ? vmull_s8(q_low, columns) : vmlal_s8(low[n][s], q_low, columns);
          high[n][s] = i == first ? vmull_s8(q_high, columns) : vmlal_s8(high[n][s], q_high, columns);
        }
      }
    }
    for (u32 n = 0; n < N; n++) {
      for (u32 s = 0; s < S; s++) {
        sums[n][s] = vaddq_s32(sums[n][s], vpaddq_s32(vpaddlq_s16(low[n][s]), vpaddlq_s16(high[n][s])));
      }
    }
  }
}

#endif

INLINE void prefetch(const void* p) { __builtin_prefetch(p); }
/** Not into the nearest cache. */
INLINE void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }

}  // namespace KERNELS
