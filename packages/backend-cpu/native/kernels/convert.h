// The input of linears of quantized weights: x, norm(x) or silu(x) up, rounded to int8 by blocks of 32 with the scale
// that takes the largest of them to 127.
#pragma once
#include "common.h"
#include "math.h"
#include "norm.h"

namespace KERNELS {

/** 32 columns of a row: 12 words. */
struct Converted {
  i8 q[32];
  float scale;
  /** Of q[0..15], and of q[16..31]. */
  i16 sums[2];
  /** scale times both. */
  float scaled_sum;
  u32 unused;
};
static_assert(sizeof(Converted) == 48, "words of a converted block are counted in src/modes.ts");

/** Where 32 values become a block. */
INLINE void convert_block(const float* x, Converted* y) {
  F largest = abs(load(x));
  for (u32 i = L; i < 32; i += L) largest = max(largest, abs(load(x + i)));
  float lanes[L], top = 0;
  store(lanes, largest);
  for (u32 i = 0; i < L; i++) top = lanes[i] > top || lanes[i] != lanes[i] ? lanes[i] : top;
  const float scale = top / 127.0f, inverse = top > 0 ? 127.0f / top : 0.0f;
  const F factor = set1(inverse), magic = set1(0x1.8p23f);
  i32 rounded[32];
  for (u32 i = 0; i < 32; i += L) {
    istore(rounded + i, isub(as_int(add(mul(load(x + i), factor), magic)), as_int(magic)));
  }
  i32 sums[2] = {0, 0};
  for (u32 i = 0; i < 32; i++) {
    y->q[i] = (i8)rounded[i];
    sums[i >> 4] += rounded[i];
  }
  y->scale = scale;
  y->sums[0] = (i16)sums[0];
  y->sums[1] = (i16)sums[1];
  y->scaled_sum = scale * (float)(sums[0] + sums[1]);
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
