// What kernels share: where a step's operands are, and which part of its work a thread does.
#pragma once
#include "../structs.h"
#include "../half.h"
#include "../team.h"

namespace KERNELS {

/** Row n of rows of words. */
INLINE float* row_at(float* p, u32 stride, u32 n) { return p + (u64)stride * n; }
INLINE const float* row_at(const float* p, u32 stride, u32 n) { return p + (u64)stride * n; }

/** Up to L values, and zeros behind them. */
INLINE F load_part(const float* p, u32 count) {
  if (count >= L) return load(p);
  float values[L] = {};
  for (u32 i = 0; i < count; i++) values[i] = p[i];
  return load(values);
}
/** Up to L values. */
INLINE void store_part(float* p, F x, u32 count) {
  if (count >= L) return store(p, x);
  float values[L];
  store(values, x);
  for (u32 i = 0; i < count; i++) p[i] = values[i];
}

/** The sum of a register's values, one after another. */
INLINE float sum_of(F x) {
  float values[L], sum = 0;
  store(values, x);
  for (u32 i = 0; i < L; i++) sum += values[i];
  return sum;
}

template <class T> INLINE T* at(const Context& c, u64 ref) { return (T*)c.resolve(ref); }

}  // namespace KERNELS
