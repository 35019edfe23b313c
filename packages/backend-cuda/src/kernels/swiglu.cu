// y = silu(gate) * up where no linear before it can do it.
#include "elementwise.cuh"

KERNEL_FILE("swiglu")

KERNEL(swiglu, Parameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k >= P.width) return;
  const float a = P.a[(uint64_t)blockIdx.y * P.a_stride + k], b = P.b[(uint64_t)blockIdx.y * P.b_stride + k];
  P.y[(uint64_t)blockIdx.y * P.y_stride + k] = silu(a) * b;
}
