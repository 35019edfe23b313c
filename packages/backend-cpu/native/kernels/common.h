// What kernels share: where a step's operands are, and which part of its work a thread does.
#pragma once
#include "../structs.h"
#include "../half.h"
#include "../team.h"

namespace KERNELS {

/** Row n of rows of words. */
INLINE float* row_at(float* p, u32 stride, u32 n) { return p + (u64)stride * n; }
INLINE const float* row_at(const float* p, u32 stride, u32 n) { return p + (u64)stride * n; }

template <class T> INLINE T* at(const Context& c, u64 ref) { return (T*)c.resolve(ref); }

}  // namespace KERNELS
