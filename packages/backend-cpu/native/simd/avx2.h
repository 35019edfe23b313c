// AVX2 with FMA and F16C: 8 lanes. With AVX-VNNI products of bytes are one instruction.
#include <immintrin.h>

namespace KERNELS {

constexpr u32 L = 8;
typedef __m256 F;   // 8 f32
typedef __m256i I;  // 8 i32
typedef __m256i B;  // 32 bytes: of 8 rows 4 columns each

INLINE F set1(float x) { return _mm256_set1_ps(x); }
INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
INLINE void store(float* p, F x) { _mm256_storeu_ps(p, x); }
INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
INLINE F root(F a) { return _mm256_sqrt_ps(a); }
INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
INLINE F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
INLINE F load_f16(const u16* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
INLINE F load_bf16(const u16* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16));
}
INLINE void store_f16(u16* p, F x) { _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x, 0)); }

INLINE I iset1(i32 x) { return _mm256_set1_epi32(x); }
INLINE I iload(const i32* p) { return _mm256_loadu_si256((const __m256i*)p); }
INLINE void istore(i32* p, I x) { _mm256_storeu_si256((__m256i*)p, x); }
INLINE I iadd(I a, I b) { return _mm256_add_epi32(a, b); }
INLINE I isub(I a, I b) { return _mm256_sub_epi32(a, b); }
INLINE I iand(I a, i32 b) { return _mm256_and_si256(a, _mm256_set1_epi32(b)); }
INLINE I ior(I a, I b) { return _mm256_or_si256(a, b); }
template <int K> INLINE I ishr(I a) { return _mm256_srli_epi32(a, K); }
template <int K> INLINE I ishl(I a) { return _mm256_slli_epi32(a, K); }
INLINE I iload_u8(const u8* p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p)); }
INLINE I iload_i8(const u8* p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)); }
INLINE I ishr_by(I a, u32 k) { return _mm256_srl_epi32(a, _mm_cvtsi32_si128((int)k)); }
INLINE I imax(I a, I b) { return _mm256_max_epi32(a, b); }
INLINE i32 imax_of(I a) {
  __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}
INLINE F to_float(I a) { return _mm256_cvtepi32_ps(a); }
INLINE F as_float(I a) { return _mm256_castsi256_ps(a); }
INLINE I as_int(F a) { return _mm256_castps_si256(a); }

INLINE B bload(const u8* p) { return _mm256_loadu_si256((const __m256i*)p); }
INLINE void bstore(u8* p, B x) { _mm256_storeu_si256((__m256i*)p, x); }
INLINE B bset1(u8 x) { return _mm256_set1_epi8((char)x); }
INLINE B band(B a, B b) { return _mm256_and_si256(a, b); }
INLINE B bor(B a, B b) { return _mm256_or_si256(a, b); }
INLINE B bxor(B a, B b) { return _mm256_xor_si256(a, b); }
template <int K> INLINE B bshr(B a) { return _mm256_srli_epi16(a, K); }  // bits of the neighbour come in: mask
template <int K> INLINE B bshl(B a) { return _mm256_slli_epi16(a, K); }
/** Bytes as words: of each row the four columns. */
INLINE I words(B a) { return a; }
/** table[index], 16 entries. */
INLINE B lookup(const i8* table, B index) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)table)), index);
}

/** The lowest bytes of 32 words, which are from -128 to 127. */
INLINE void store_bytes(i8* p, const I* x) {
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(x[0], x[1]), _mm256_packs_epi32(x[2], x[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256((__m256i*)p, _mm256_permutevar8x32_epi32(bytes, order));
}
/** Sums of 16 bytes, and of the next 16. */
INLINE void sums_of_bytes(const i8* p, i32* sums) {
  const __m256i bytes = _mm256_loadu_si256((const __m256i*)p);
  const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
  const __m256i pairs = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
  const __m256i all = _mm256_add_epi32(pairs, _mm256_shuffle_epi32(pairs, 0xb1));
  sums[0] = _mm256_cvtsi256_si32(all);
  sums[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(all, 1));
}

INLINE B four_columns(const i8* x) {
  i32 four;
  __builtin_memcpy(&four, x, 4);
  return _mm256_set1_epi32(four);
}

/** Computed here and not later: compilers otherwise mix what belongs to many rows, and run out of registers. */
template <class Register> INLINE void here(Register& x) { __asm__ volatile("" : "+x"(x) : : "memory"); }

#if defined(KERNELS_AVX_VNNI)

/** Rows, and slices of weights, whose products are summed at once. */
constexpr u32 tile_rows = 3, tile_slices = 2;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 4;

/** Signed quants are multiplied as unsigned ones, 128 more. */
constexpr bool shifts_signed = true;

/** sums += products of unsigned quants (i, s), i < COUNT, 8 rows x 4 columns each, and x [N][4 COUNT]. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  for (int i = 0; i < COUNT; i++) {
    B q[S];
    for (u32 s = 0; s < S; s++) q[s] = quants(i, s);
    for (u32 n = 0; n < N; n++) {
      const B four = four_columns(x[n] + 4 * i);
      for (u32 s = 0; s < S; s++) sums[n][s] = _mm256_dpbusd_avx_epi32(sums[n][s], q[s], four);
      if constexpr (Ordered) {
        for (u32 s = 0; s < S; s++) here(sums[n][s]);
      }
    }
  }
}

#else

/** Rows, and slices of weights, whose products are summed at once. */
constexpr u32 tile_rows = 4, tile_slices = 2;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 3;

constexpr bool shifts_signed = false;

/** sums += products of quants (i, s) up to Most, i < COUNT, 8 rows x 4 columns each, and x [N][4 COUNT]. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  // Pairs of products are summed in 16 bits as far as that cannot overflow, -128 among signed quants included.
  constexpr int pair = 2 * 127 * Most, room = 32767 / pair;
  constexpr int most_room = room >= 8 ? 8 : room >= 4 ? 4 : room >= 2 ? 2 : 1;
  constexpr int together = most_room < COUNT ? most_room : COUNT;
  const __m256i ones = _mm256_set1_epi16(1);
  for (int first = 0; first < COUNT; first += together) {
    __m256i pairs[N][S];
    for (int i = first; i < first + together; i++) {
      B q[S];
      for (u32 s = 0; s < S; s++) q[s] = quants(i, s);
      for (u32 n = 0; n < N; n++) {
        const B four = four_columns(x[n] + 4 * i);
        for (u32 s = 0; s < S; s++) {
          const __m256i two = Signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(q[s]), _mm256_sign_epi8(four, q[s]))
                                     : _mm256_maddubs_epi16(q[s], four);
          pairs[n][s] = i == first ? two : _mm256_add_epi16(pairs[n][s], two);
        }
        if constexpr (Ordered) {
          for (u32 s = 0; s < S; s++) here(pairs[n][s]);
        }
      }
    }
    for (u32 n = 0; n < N; n++) {
      for (u32 s = 0; s < S; s++) sums[n][s] = _mm256_add_epi32(sums[n][s], _mm256_madd_epi16(pairs[n][s], ones));
    }
  }
}

#endif

INLINE void prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }
/** Not into the nearest cache. */
INLINE void prefetch_far(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T1); }

}  // namespace KERNELS
