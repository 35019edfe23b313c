// Sums over all threads of a block of 256.
#pragma once
#include "common.cuh"

constexpr int block_threads = 256;
constexpr int block_warps = block_threads / 32;

/// The same in all threads; `partial` is shared and has a float for each warp.
DEVICE float block_sum(float value, float *partial) {
  value = warp_sum(value);
  __syncthreads();
  if ((threadIdx.x & 31) == 0) partial[threadIdx.x >> 5] = value;
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int warp = 0; warp < block_warps; warp++) total += partial[warp];
  return total;
}

/// Likewise the largest.
DEVICE float block_max(float value, float *partial) {
  value = warp_max(value);
  __syncthreads();
  if ((threadIdx.x & 31) == 0) partial[threadIdx.x >> 5] = value;
  __syncthreads();
  float most = partial[0];
#pragma unroll
  for (int warp = 1; warp < block_warps; warp++) most = fmaxf(most, partial[warp]);
  return most;
}
