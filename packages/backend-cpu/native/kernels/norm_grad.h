// The gradient of RMSNorm: by its input row by row, and by its weight as a sum over rows.
#pragma once
#include "norm.h"

namespace KERNELS {

static void norm_grad(const Context& c, const void* step) {
  const NormGradStep& s = *(const NormGradStep*)step;
  const float* weight = at<const float>(c, s.weight);
  for (u32 n; c.next(s.rows, n);) {
    const float* x = row_at(at<const float>(c, s.x), s.xStride, n);
    const float* cotangent = row_at(at<const float>(c, s.cotangent), s.cotangentStride, n);
    const float inverse = inverse_root_mean_square(x, s.width, s.eps);
    at<float>(c, s.inverses)[n] = inverse;
    if (s.y == 0) continue;
    const float* residual = s.residual ? row_at(at<const float>(c, s.residual), s.residualStride, n) : nullptr;
    float* y = row_at(at<float>(c, s.y), s.yStride, n);
    F sum = set1(0);
    const auto weighted = [&](u32 i) INLINE_LAMBDA {
      return mul(load_part(cotangent + i, s.width - i), load_part(weight + i, s.width - i));
    };
    for (u32 i = 0; i < s.width; i += L) sum = fma(weighted(i), load_part(x + i, s.width - i), sum);
    const F share = set1(inverse * inverse * (sum_of(sum) / (float)s.width));
    for (u32 i = 0; i < s.width; i += L) {
      const F part = sub(weighted(i), mul(load_part(x + i, s.width - i), share));
      const F own = mul(part, set1(inverse));
      store_part(y + i, residual ? add(own, load_part(residual + i, s.width - i)) : own, s.width - i);
    }
  }
}

static void norm_weight_grad(const Context& c, const void* step) {
  const NormWeightGradStep& s = *(const NormWeightGradStep*)step;
  const float* inverses = at<const float>(c, s.inverses);
  for (u32 unit; c.next((s.width + 15) / 16, unit);) {
    for (u32 i = 16 * unit; i < least(s.width, 16 * unit + 16); i += L) {
      const u32 count = s.width - i;
      F sum = s.residual ? load_part(at<const float>(c, s.residual) + i, count) : set1(0);
      for (u32 n = 0; n < s.rows; n++) {
        const float* x = row_at(at<const float>(c, s.x), s.xStride, n) + i;
        const float* cotangent = row_at(at<const float>(c, s.cotangent), s.cotangentStride, n) + i;
        sum = fma(load_part(cotangent, count), mul(load_part(x, count), set1(inverses[n])), sum);
      }
      store_part(at<float>(c, s.y) + i, sum, count);
    }
  }
}

}  // namespace KERNELS
