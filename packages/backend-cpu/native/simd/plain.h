// Plain C++, 4 lanes: what the other instruction sets are compared with, and what runs where none of them is there.
#include "../half.h"

namespace KERNELS {

constexpr u32 L = 4;
struct F { float v[4]; };
struct I { i32 v[4]; };
struct B { u8 v[16]; };  // of 4 rows 4 columns each

#define EACH(Type, expression)                     \
  Type r;                                          \
  for (int i = 0; i < 4; i++) r.v[i] = expression; \
  return r;

INLINE F set1(float x) { EACH(F, x) }
INLINE F load(const float* p) { EACH(F, p[i]) }
INLINE void store(float* p, F x) { for (int i = 0; i < 4; i++) p[i] = x.v[i]; }
INLINE F add(F a, F b) { EACH(F, a.v[i] + b.v[i]) }
INLINE F sub(F a, F b) { EACH(F, a.v[i] - b.v[i]) }
INLINE F mul(F a, F b) { EACH(F, a.v[i] * b.v[i]) }
INLINE F div(F a, F b) { EACH(F, a.v[i] / b.v[i]) }
INLINE F fma(F a, F b, F c) { EACH(F, a.v[i] * b.v[i] + c.v[i]) }
INLINE F root(F a) { EACH(F, __builtin_sqrtf(a.v[i])) }
INLINE F max(F a, F b) { EACH(F, a.v[i] > b.v[i] ? a.v[i] : b.v[i]) }
INLINE F min(F a, F b) { EACH(F, a.v[i] < b.v[i] ? a.v[i] : b.v[i]) }
INLINE F abs(F a) { EACH(F, a.v[i] < 0 ? -a.v[i] : a.v[i]) }
INLINE F load_f16(const u16* p) { EACH(F, from_f16(p[i])) }
INLINE F load_bf16(const u16* p) { EACH(F, from_bf16(p[i])) }
INLINE void store_f16(u16* p, F x) { for (int i = 0; i < 4; i++) p[i] = to_f16(x.v[i]); }

INLINE I iset1(i32 x) { EACH(I, x) }
INLINE I iload(const i32* p) { EACH(I, p[i]) }
INLINE void istore(i32* p, I x) { for (int i = 0; i < 4; i++) p[i] = x.v[i]; }
INLINE I iadd(I a, I b) { EACH(I, a.v[i] + b.v[i]) }
INLINE I isub(I a, I b) { EACH(I, a.v[i] - b.v[i]) }
INLINE I iand(I a, i32 b) { EACH(I, a.v[i] & b) }
INLINE I ior(I a, I b) { EACH(I, a.v[i] | b.v[i]) }
template <int K> INLINE I ishr(I a) { EACH(I, (i32)((u32)a.v[i] >> K)) }
template <int K> INLINE I ishl(I a) { EACH(I, (i32)((u32)a.v[i] << K)) }
INLINE I iload_u8(const u8* p) { EACH(I, p[i]) }
INLINE I iload_i8(const u8* p) { EACH(I, (i8)p[i]) }
INLINE I ishr_by(I a, u32 k) { EACH(I, (i32)((u32)a.v[i] >> k)) }
INLINE I imax(I a, I b) { EACH(I, a.v[i] > b.v[i] ? a.v[i] : b.v[i]) }
INLINE F to_float(I a) { EACH(F, (float)a.v[i]) }
INLINE F as_float(I a) { EACH(F, float_of((u32)a.v[i])) }
INLINE I as_int(F a) { EACH(I, (i32)bits_of(a.v[i])) }

#undef EACH

#define EACH(expression)                            \
  B r;                                              \
  for (int i = 0; i < 16; i++) r.v[i] = expression; \
  return r;

INLINE B bload(const u8* p) { EACH(p[i]) }
INLINE void bstore(u8* p, B x) { for (int i = 0; i < 16; i++) p[i] = x.v[i]; }
INLINE B bset1(u8 x) { EACH(x) }
INLINE B band(B a, B b) { EACH((u8)(a.v[i] & b.v[i])) }
INLINE B bor(B a, B b) { EACH((u8)(a.v[i] | b.v[i])) }
INLINE B bxor(B a, B b) { EACH((u8)(a.v[i] ^ b.v[i])) }
template <int K> INLINE B bshr(B a) { EACH((u8)(a.v[i] >> K)) }
template <int K> INLINE B bshl(B a) { EACH((u8)(a.v[i] << K)) }
/** Bytes as words: of each row the four columns. */
INLINE I words(B a) {
  I r;
  __builtin_memcpy(&r, &a, 16);
  return r;
}
/** table[index], 16 entries. */
INLINE B lookup(const i8* table, B index) { EACH((u8)table[index.v[i]]) }

#undef EACH

constexpr bool shifts_signed = false;

/** acc + products of quants [COUNT] x (4 rows x 4 columns) and x [4 COUNT]. */
template <int Most, bool Signed, int COUNT> INLINE I dots(I acc, const B* q, const i8* x) {
  for (int i = 0; i < COUNT; i++) {
    for (int row = 0; row < 4; row++) {
      for (int j = 0; j < 4; j++) {
        const u8 quant = q[i].v[4 * row + j];
        acc.v[row] += (Signed ? (i32)(i8)quant : (i32)quant) * x[4 * i + j];
      }
    }
  }
  return acc;
}

INLINE void prefetch(const void*) {}

}  // namespace KERNELS

#include "narrow.h"
