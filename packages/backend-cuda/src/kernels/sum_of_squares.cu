// Sums of squares of a value's elements, or of what such sums have left: each block adds up what its threads find, far apart, and gives one
// number.
#include "block.cuh"

KERNEL_FILE("sum_of_squares")

struct Parameters {
  const float *x;
  float *y;
  uint64_t count;
  uint32_t width, stride;
};
#include "asserts/sum_of_squares.cuh"

template <bool SQUARES> DEVICE void add_up(const Parameters &P, float *partial) {
  float sum = 0.0f;
  for (uint64_t i = (uint64_t)blockIdx.x * block_threads + threadIdx.x; i < P.count; i += (uint64_t)gridDim.x * block_threads) {
    const float x = P.x[i / P.width * P.stride + i % P.width];
    sum = SQUARES ? fmaf(x, x, sum) : sum + x;
  }
  sum = block_sum(sum, partial);
  if (threadIdx.x == 0) P.y[blockIdx.x] = sum;
}

KERNEL(sum_of_squares, Parameters, block_threads) {
  SHARED(float, partial, block_warps);
  add_up<true>(P, partial);
}

KERNEL(sum_of_sums, Parameters, block_threads) {
  SHARED(float, partial, block_warps);
  add_up<false>(P, partial);
}
