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

/** acc + products of unsigned quants [COUNT] x (16 rows x 4 columns) and x [4 COUNT]. */
template <int Most, bool Signed, int COUNT> INLINE I dots(I acc, const B* q, const i8* x) {
  for (int i = 0; i < COUNT; i++) {
    i32 four;
    __builtin_memcpy(&four, x + 4 * i, 4);
    acc = _mm512_dpbusd_epi32(acc, q[i], _mm512_set1_epi32(four));
  }
  return acc;
}

INLINE void prefetch(const void* p) { _mm_prefetch((const char*)p, _MM_HINT_T0); }

}  // namespace KERNELS
