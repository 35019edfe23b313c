// RMSNorm: y = x / sqrt(mean(x^2) + eps) * weight.
#pragma once
#include "common.h"

namespace KERNELS {

/** Sums in 16 lanes whatever the width of registers, so that all give nearly the same; then one after another. */
INLINE float inverse_root_mean_square(const float* x, u32 width, float eps) {
  F sums[16 / L];
  for (u32 i = 0; i < 16 / L; i++) sums[i] = set1(0);
  u32 i = 0;
  for (; i + 16 <= width; i += 16) {
    for (u32 k = 0; k < 16 / L; k++) {
      const F v = load(x + i + L * k);
      sums[k] = fma(v, v, sums[k]);
    }
  }
  float lanes[16], sum = 0;
  for (u32 k = 0; k < 16 / L; k++) store(lanes + L * k, sums[k]);
  for (; i < width; i++) lanes[i & 15] += x[i] * x[i];
  for (u32 k = 0; k < 16; k++) sum += lanes[k];
  return 1.0f / __builtin_sqrtf(sum / (float)width + eps);
}

static void norm(const Context& c, const void* step) {
  const NormStep& s = *(const NormStep*)step;
  const float* weight = at<const float>(c, s.weight);
  for (u32 n; c.next(s.rows, n);) {
    const float* x = row_at(at<const float>(c, s.x), s.xStride, n);
    float* y = row_at(at<float>(c, s.y), s.yStride, n);
    const float inverse = inverse_root_mean_square(x, s.width, s.eps);
    u32 i = 0;
    for (; i + L <= s.width; i += L) store(y + i, mul(mul(load(x + i), set1(inverse)), load(weight + i)));
    for (; i < s.width; i++) y[i] = x[i] * inverse * weight[i];
  }
}

}  // namespace KERNELS
