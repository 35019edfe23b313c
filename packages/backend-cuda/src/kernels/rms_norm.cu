// y = x / sqrt(mean(x^2) + eps) * g, a block per row.
#include "common.cuh"

KERNEL_FILE("rms_norm")

struct Parameters {
  const float *x;
  const float *g;
  float *y;
  uint32_t width, x_stride, y_stride;
  float eps;
};
#include "asserts/rms_norm.cuh"

KERNEL(rms_norm, Parameters, 256) {
  SHARED(float, squares_of, 8);
  const float *x = P.x + (uint64_t)blockIdx.x * P.x_stride;
  float *y = P.y + (uint64_t)blockIdx.x * P.y_stride;
  float squares = 0.0f;
  for (uint32_t k = threadIdx.x; k < P.width; k += 256) squares = fmaf(x[k], x[k], squares);
  squares = warp_sum(squares);
  if ((threadIdx.x & 31) == 0) squares_of[threadIdx.x >> 5] = squares;
  __syncthreads();
  float total = 0.0f;
#pragma unroll
  for (int warp = 0; warp < 8; warp++) total += squares_of[warp];
  const float scale = 1.0f / sqrtf(total / float(P.width) + P.eps);
  for (uint32_t k = threadIdx.x; k < P.width; k += 256) y[k] = x[k] * scale * P.g[k];
}
