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

INLINE B four_columns(const i8* x) {
  i32 four;
  __builtin_memcpy(&four, x, 4);
  return _mm256_set1_epi32(four);
}

#if defined(KERNELS_AVX_VNNI)

/** Signed quants are multiplied as unsigned ones, 128 more. */
constexpr bool shifts_signed = true;

/** acc + products of unsigned quants [COUNT] x (8 rows x 4 columns) and x [4 COUNT]. */
template <int Most, bool Signed, int COUNT> INLINE I dots(I acc, const B* q, const i8* x) {
  for (int i = 0; i < COUNT; i++) acc = _mm256_dpbusd_avx_epi32(acc, q[i], four_columns(x + 4 * i));
  return acc;
}

#else

constexpr bool shifts_signed = false;

/** acc + products of quants up to Most [COUNT] x (8 rows x 4 columns) and x [4 COUNT]. */
template <int Most, bool Signed, int COUNT> INLINE I dots(I acc, const B* q, const i8* x) {
  // Pairs of products are summed in 16 bits as far as that cannot overflow, -128 among signed quants included.
  constexpr int pair = 2 * 127 * Most, room = 32767 / pair, most_room = room >= 8 ? 8 : room >= 4 ? 4 : room >= 2 ? 2 : 1;
  constexpr int together = most_room < COUNT ? most_room : COUNT;
  const __m256i ones = _mm256_set1_epi16(1);
  for (int i = 0; i < COUNT; i += together) {
    __m256i sum = _mm256_setzero_si256();
    for (int j = i; j < i + together; j++) {
      const B four = four_columns(x + 4 * j);
      const __m256i products = Signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(q[j]), _mm256_sign_epi8(four, q[j]))
                                      : _mm256_maddubs_epi16(q[j], four);
      sum = j == i ? products : _mm256_add_epi16(sum, products);
    }
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(sum, ones));
  }
  return acc;
}

#endif

INLINE void prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }

}  // namespace KERNELS
