// The residual connection where no linear before it can add it: y = a + b.
#include "elementwise.cuh"

KERNEL_FILE("add")

KERNEL(add, Parameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k >= P.width) return;
  const float a = P.a[(uint64_t)blockIdx.y * P.a_stride + k], b = P.b[(uint64_t)blockIdx.y * P.b_stride + k];
  P.y[(uint64_t)blockIdx.y * P.y_stride + k] = a + b;
}
