// The input of linears of quantized weights: x, norm(x) or silu(x) up, rounded to int8 by blocks of 32 with the scale
// that takes the largest of them to 127.
#pragma once
#include "common.h"
#include "math.h"
#include "norm.h"

namespace KERNELS {

/**
 * 32 columns of a row: 16 words, a cache line. Sums of q are what products with biased quants begin with, and negative
 * as they are subtracted; so are scale times sums, which minimums are multiplied with.
 */
struct Converted {
  i8 q[32];
  float scale;
  i32 sum;
  float scaled_sum;
  /** Of q[0..15], and of q[16..31]. */
  i32 sums[2];
  float scaled_sums[2];
  u32 unused;
};
static_assert(sizeof(Converted) == 64, "words of a converted block are counted in src/modes.ts");

/** Where 32 values become a block. NaN becomes the scale: as an integer it is larger than any number. */
INLINE void convert_block(const float* x, Converted* y) {
  I largest = as_int(abs(load(x)));
  for (u32 i = L; i < 32; i += L) largest = imax(largest, as_int(abs(load(x + i))));
  const float top = float_of((u32)imax_of(largest));
  // What is so small that 127 / top would be infinite is made larger first.
  const float raise = top < 0x1p-100f ? 0x1p60f : 1.0f, inverse = top > 0 ? 127.0f / (top * raise) : 0.0f;
  const float scale = top / 127.0f;
  const F raised = set1(raise), factor = set1(inverse), magic = set1(0x1.8p23f);
  I rounded[32 / L];
  for (u32 i = 0; i < 32 / L; i++) {
    rounded[i] = isub(as_int(add(mul(mul(load(x + L * i), raised), factor), magic)), as_int(magic));
  }
  store_bytes(y->q, rounded);
  i32 sums[2];
  sums_of_bytes(y->q, sums);
  y->scale = scale;
  y->sum = -(sums[0] + sums[1]);
  y->scaled_sum = scale * (float)y->sum;
  for (u32 half = 0; half < 2; half++) {
    y->sums[half] = -sums[half];
    y->scaled_sums[half] = scale * (float)y->sums[half];
  }
  y->unused = 0;
}

static void convert(const Context& c, const void* step) {
  const ConvertStep& s = *(const ConvertStep*)step;
  const float* weight = s.weight ? at<const float>(c, s.weight) : nullptr;
  for (u32 n; c.next(s.rows, n);) {
    const float* x = row_at(at<const float>(c, s.x), s.xStride, n);
    const float* up = s.up ? row_at(at<const float>(c, s.up), s.upStride, n) : nullptr;
    Converted* y = (Converted*)row_at(at<float>(c, s.y), s.yStride, n);
    const F inverse = set1(weight ? inverse_root_mean_square(x, s.width, s.eps) : 0);
    for (u32 i = 0; i < s.width; i += 32, y++) {
      float values[32];
      for (u32 j = 0; j < 32; j += L) {
        F v = load(x + i + j);
        if (weight) v = mul(mul(v, inverse), load(weight + i + j));
        if (up) v = mul(silu(v), load(up + i + j));
        store(values + j, v);
      }
      convert_block(values, y);
    }
  }
}

}  // namespace KERNELS
