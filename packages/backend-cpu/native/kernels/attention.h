// Attention of rows over the keys and values of their sequences, up to their own position.
#pragma once
#include "common.h"
#include "math.h"
#include "rope.h"

namespace KERNELS {

INLINE float get(const u8* p, u32 format, u64 index) {
  if (format == format_f32) return ((const float*)p)[index];
  return format == format_f16 ? from_f16(((const u16*)p)[index]) : from_bf16(((const u16*)p)[index]);
}

INLINE F get_lanes(const u8* p, u32 format, u64 index) {
  if (format == format_f32) return load((const float*)p + index);
  return format == format_f16 ? load_f16((const u16*)p + index) : load_bf16((const u16*)p + index);
}

/** One head of one row: blocks of 32 keys, each with its maximum, joined one after another. */
static void attention_head(const Context& c, const AttentionStep& s, u32 n, u32 h) {
  const Row& row = at<const Row>(c, c.run->rows)[n];
  const Sequence& sequence = at<const Sequence>(c, c.run->sequences)[row.sequence];
  const float* q = row_at(at<const float>(c, s.q), s.qStride, n) + h * s.headDim;
  float* y = row_at(at<float>(c, s.y), s.yStride, n) + h * s.headDim;
  const u32 d = s.headDim, g = h / (s.heads / s.kvHeads), length = row.position + 1, format = sequence.format;
  const F scale = set1(1.0f / __builtin_sqrtf((float)d));
  float maximum = -__builtin_inff(), total = 0;
  for (u32 i = 0; i < d; i++) y[i] = 0;
  for (u32 first = 0; first < length; first += block_positions) {
    const u8* block = block_of(c, sequence, first);
    const u64 keys = (u64)block_positions * s.before + (u64)block_positions * g * d;
    const u64 values = (u64)block_positions * (s.before + s.kvHeads * d) + (u64)block_positions * g * d;
    const u32 count = least(block_positions, length - first);
    float p[block_positions];
    for (u32 i = 0; i < block_positions; i += L) {
      F score = set1(0);
      for (u32 k = 0; k < d; k++) score = fma(set1(q[k]), get_lanes(block, format, keys + block_positions * k + i), score);
      store(p + i, mul(score, scale));
    }
    float top = maximum;
    for (u32 i = 0; i < count; i++) top = p[i] > top || p[i] != p[i] ? p[i] : top;
    float lanes[L];
    store(lanes, exp(set1(maximum - top)));
    const float fade = maximum == top ? 1.0f : lanes[0];
    for (u32 i = 0; i < block_positions; i += L) store(p + i, exp(sub(load(p + i), set1(top))));
    total *= fade;
    for (u32 i = 0; i < count; i++) total += p[i];
    for (u32 i = 0; i < d; i++) {
      float sum = y[i] * fade;
      for (u32 j = 0; j < count; j++) sum += p[j] * get(block, format, values + (u64)d * j + i);
      y[i] = sum;
    }
    maximum = top;
  }
  for (u32 i = 0; i < d; i++) y[i] /= total;
}

static void attention(const Context& c, const void* step) {
  const AttentionStep& s = *(const AttentionStep*)step;
  for (u32 unit; c.next(s.rows * s.heads, unit);) attention_head(c, s, unit / s.heads, unit % s.heads);
}

}  // namespace KERNELS
