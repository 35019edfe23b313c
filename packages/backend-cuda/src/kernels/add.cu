// The residual connection where no linear before it can add it: y = a + b.
#include "common.cuh"

KERNEL_FILE("add")

struct Parameters {
  const float *a;
  const float *b;
  float *y;
  uint32_t width, a_stride, b_stride, y_stride;
};

KERNEL(add, Parameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k >= P.width) return;
  const float a = P.a[(uint64_t)blockIdx.y * P.a_stride + k], b = P.b[(uint64_t)blockIdx.y * P.b_stride + k];
  P.y[(uint64_t)blockIdx.y * P.y_stride + k] = a + b;
}
