// y = factor x, row by row; and zeros.
#include "common.cuh"

KERNEL_FILE("scale")

struct Parameters {
  const float *x;
  float *y;
  /// Of elements, in rows of `width`.
  uint64_t count;
  uint32_t width, x_stride, y_stride;
  float factor;
};
#include "asserts/scale.cuh"

KERNEL(scale, Parameters, 256) {
  for (uint64_t i = (uint64_t)blockIdx.x * 256 + threadIdx.x; i < P.count; i += (uint64_t)gridDim.x * 256) {
    const uint64_t n = i / P.width, k = i % P.width;
    P.y[n * P.y_stride + k] = P.factor * P.x[n * P.x_stride + k];
  }
}

KERNEL(zeros, Parameters, 256) {
  for (uint64_t i = (uint64_t)blockIdx.x * 256 + threadIdx.x; i < P.count; i += (uint64_t)gridDim.x * 256)
    P.y[i / P.width * P.y_stride + i % P.width] = 0.0f;
}
