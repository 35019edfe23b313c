// Attention of prompts: a block per row and group of heads goes through all of the row's keys.
#include "attention.cuh"

KERNEL_FILE("attention_rows")

KERNEL(attention_rows, Parameters, threads) {
  ATTENTION_BLOCK(0, row.position + 1)
  // Each head's total is with the warp that weighed it.
  SHARED(float, totals, most_heads);
  for (int j = 0; j < most_heads / 4; j++) {
    const int h = j * 4 + (threadIdx.x >> 5);
    if (h < count && (threadIdx.x & 31) == 0) totals[h] = sums.total[j];
  }
  __syncthreads();
  float *y = P.y + (uint64_t)blockIdx.x * P.y_stride + head * P.d;
#pragma unroll
  for (int side = 0; side < 2; side++) {
    const uint32_t i = threadIdx.x + side * threads;
    if (i >= P.d) continue;
#pragma unroll
    for (int h = 0; h < most_heads; h++)
      if (h < count) y[h * P.d + i] = sums.sum[side][h] / totals[h];
  }
}
