// a + b, and silu(a) b.
#pragma once
#include "common.h"
#include "math.h"

namespace KERNELS {

/** Values of a row that are computed as one unit. */
constexpr u32 unit_width = 4096;

template <class Step, class Op> INLINE void elementwise(const Context& c, const Step& s, Op op) {
  const u32 parts = (s.width + unit_width - 1) / unit_width;
  for (u32 unit; c.next(s.rows * parts, unit);) {
    const u32 n = unit / parts, first = unit % parts * unit_width, width = least(unit_width, s.width - first);
    const float* a = row_at(at<const float>(c, s.a), s.aStride, n) + first;
    const float* b = row_at(at<const float>(c, s.b), s.bStride, n) + first;
    float* y = row_at(at<float>(c, s.y), s.yStride, n) + first;
    u32 i = 0;
    for (; i + L <= width; i += L) store(y + i, op(load(a + i), load(b + i)));
    if (i == width) continue;
    float rest[3][L] = {};
    for (u32 k = 0; i + k < width; k++) rest[0][k] = a[i + k], rest[1][k] = b[i + k];
    store(rest[2], op(load(rest[0]), load(rest[1])));
    for (u32 k = 0; i + k < width; k++) y[i + k] = rest[2][k];
  }
}

static void add_rows(const Context& c, const void* step) {
  elementwise(c, *(const AddStep*)step, [](F a, F b) __attribute__((always_inline)) { return add(a, b); });
}

static void swiglu(const Context& c, const void* step) {
  elementwise(c, *(const SwigluStep*)step, [](F a, F b) __attribute__((always_inline)) { return mul(silu(a), b); });
}

}  // namespace KERNELS
