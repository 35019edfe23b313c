// AVX-512 with VNNI: 16 lanes.
#include <immintrin.h>

namespace KERNELS {

constexpr u32 L = 16;
typedef __m512 F;   // 16 f32
typedef __m512i I;  // 16 i32
typedef __m512i B;  // 64 bytes: of 16 rows 4 columns each

INLINE F set1(float x) { return _mm512_set1_ps(x); }
INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
INLINE F root(F a) { return _mm512_sqrt_ps(a); }
INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
INLINE F abs(F a) { return _mm512_abs_ps(a); }
INLINE F load_f16(const u16* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
INLINE F load_bf16(const u16* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
INLINE void store_f16(u16* p, F x) { _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(x, 0)); }

INLINE I iset1(i32 x) { return _mm512_set1_epi32(x); }
INLINE I iload(const i32* p) { return _mm512_loadu_si512(p); }
INLINE void istore(i32* p, I x) { _mm512_storeu_si512(p, x); }
INLINE I iadd(I a, I b) { return _mm512_add_epi32(a, b); }
INLINE I isub(I a, I b) { return _mm512_sub_epi32(a, b); }
INLINE I iand(I a, i32 b) { return _mm512_and_si512(a, _mm512_set1_epi32(b)); }
INLINE I ior(I a, I b) { return _mm512_or_si512(a, b); }
template <int K> INLINE I ishr(I a) { return _mm512_srli_epi32(a, K); }
template <int K> INLINE I ishl(I a) { return _mm512_slli_epi32(a, K); }
INLINE I iload_u8(const u8* p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)); }
INLINE I iload_i8(const u8* p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)); }
INLINE I ishr_by(I a, u32 k) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128((int)k)); }
INLINE I imax(I a, I b) { return _mm512_max_epi32(a, b); }
INLINE i32 imax_of(I a) { return _mm512_reduce_max_epi32(a); }
INLINE F to_float(I a) { return _mm512_cvtepi32_ps(a); }
INLINE F as_float(I a) { return _mm512_castsi512_ps(a); }
INLINE I as_int(F a) { return _mm512_castps_si512(a); }

INLINE B bload(const u8* p) { return _mm512_loadu_si512(p); }
INLINE void bstore(u8* p, B x) { _mm512_storeu_si512(p, x); }
INLINE B bset1(u8 x) { return _mm512_set1_epi8((char)x); }
INLINE B band(B a, B b) { return _mm512_and_si512(a, b); }
INLINE B bor(B a, B b) { return _mm512_or_si512(a, b); }
INLINE B bxor(B a, B b) { return _mm512_xor_si512(a, b); }
template <int K> INLINE B bshr(B a) { return _mm512_srli_epi16(a, K); }  // bits of the neighbour come in: mask
template <int K> INLINE B bshl(B a) { return _mm512_slli_epi16(a, K); }
/** Bytes as words: of each row the four columns. */
INLINE I words(B a) { return a; }
/** table[index], 16 entries. */
INLINE B lookup(const i8* table, B index) {
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)table)), index);
}

/** Signed quants are multiplied as unsigned ones, 128 more. */
constexpr bool shifts_signed = true;

/** The lowest bytes of 32 words. */
INLINE void store_bytes(i8* p, const I* x) {
  for (int i = 0; i < 2; i++) _mm_storeu_si128((__m128i*)p + i, _mm512_cvtepi32_epi8(x[i]));
}
/** Sums of 16 bytes, and of the next 16. */
INLINE void sums_of_bytes(const i8* p, i32* sums) {
  const __m256i bytes = _mm256_loadu_si256((const __m256i*)p);
  const __m256i fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
  const __m256i pairs = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
  const __m256i all = _mm256_add_epi32(pairs, _mm256_shuffle_epi32(pairs, 0xb1));
  sums[0] = _mm256_cvtsi256_si32(all);
  sums[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(all, 1));
}

/** Computed here and not later: compilers otherwise mix what belongs to many rows, and run out of registers. */
template <class Register> INLINE void here(Register& x) { __asm__ volatile("" : "+v"(x) : : "memory"); }

/** Rows, and slices of weights, whose products are summed at once. */
constexpr u32 tile_rows = 6, tile_slices = 2;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 8;

/** sums += products of unsigned quants (i, s), i < COUNT, 16 rows x 4 columns each, and x [N][4 COUNT]. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  for (int i = 0; i < COUNT; i++) {
    B q[S];
    for (u32 s = 0; s < S; s++) q[s] = quants(i, s);
    for (u32 n = 0; n < N; n++) {
      i32 four;
      __builtin_memcpy(&four, x[n] + 4 * i, 4);
      for (u32 s = 0; s < S; s++) sums[n][s] = _mm512_dpbusd_epi32(sums[n][s], q[s], _mm512_set1_epi32(four));
      if constexpr (Ordered) {
        for (u32 s = 0; s < S; s++) here(sums[n][s]);
      }
    }
  }
}

INLINE void prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }
/** Not into the nearest cache. */
INLINE void prefetch_far(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T1); }

}  // namespace KERNELS
