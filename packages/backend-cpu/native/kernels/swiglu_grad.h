// The gradient of silu(gate) up, by both.
#pragma once
#include "elementwise.h"

namespace KERNELS {

static void swiglu_grad(const Context& c, const void* step) {
  const SwigluGradStep& s = *(const SwigluGradStep*)step;
  for (u32 n; c.next(s.rows, n);) {
    const float* gate = row_at(at<const float>(c, s.gate), s.gateStride, n);
    const float* up = row_at(at<const float>(c, s.up), s.upStride, n);
    const float* cotangent = row_at(at<const float>(c, s.cotangent), s.cotangentStride, n);
    for (u32 i = 0; i < s.width; i += L) {
      const u32 count = s.width - i;
      const F g = load_part(gate + i, count), dy = load_part(cotangent + i, count), part = sigmoid(g);
      if (s.upGrad) store_part(row_at(at<float>(c, s.upGrad), s.upGradStride, n) + i, mul(dy, mul(g, part)), count);
      if (s.gateGrad == 0) continue;
      // silu' = sigmoid (1 + x (1 - sigmoid))
      const F slope = mul(part, fma(g, sub(set1(1), part), set1(1)));
      const F own = mul(mul(dy, load_part(up + i, count)), slope);
      store_part(row_at(at<float>(c, s.gateGrad), s.gateGradStride, n) + i, own, count);
    }
  }
}

}  // namespace KERNELS
