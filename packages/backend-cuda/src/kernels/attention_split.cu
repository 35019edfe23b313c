// Attention of single rows behind many keys: a block per row, group of heads and part of 256 keys, so that one sequence keeps
// the whole card busy. Writes sums that attention_combine.cu brings together: y is [rows, heads, parts, d + 2], the largest score and
// the sum of weights last. Parts behind the row's position are left out.
#include "attention.cuh"

KERNEL_FILE("attention_split")

KERNEL(attention_split, Parameters, threads) {
  const uint32_t begin = blockIdx.z * part_keys;
  const uint32_t length = P.rows[blockIdx.x].position + 1;
  if (begin >= length) return;
  ATTENTION_BLOCK(begin, min(length, begin + part_keys))
  const uint64_t line = P.d + 2;
  float *y = P.y + (((uint64_t)blockIdx.x * P.heads + head) * P.parts + blockIdx.z) * line;
  for (int j = 0; j < most_heads / 4; j++) {
    const int h = j * 4 + (threadIdx.x >> 5);
    if (h >= count || (threadIdx.x & 31) != 0) continue;
    y[h * P.parts * line + P.d] = sums.most[j];
    y[h * P.parts * line + P.d + 1] = sums.total[j];
  }
#pragma unroll
  for (int side = 0; side < 2; side++) {
    const uint32_t i = threadIdx.x + side * threads;
    if (i >= P.d) continue;
#pragma unroll
    for (int h = 0; h < most_heads; h++)
      if (h < count) y[h * P.parts * line + i] = sums.sum[side][h];
  }
}
