// The gradient of silu(gate) up by both, a thread per element. The sigmoid is computed again.
#include "common.cuh"

KERNEL_FILE("swiglu_grad")

struct Parameters {
  const float *gate;
  const float *up;
  const float *cotangent;
  float *gate_grad;
  float *up_grad;
  uint32_t width, gate_stride, up_stride, cotangent_stride, gate_grad_stride, up_grad_stride;
};
#include "asserts/swiglu_grad.cuh"

KERNEL(swiglu_grad, Parameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k >= P.width) return;
  const uint64_t n = blockIdx.y;
  const float z = P.gate[n * P.gate_stride + k], dy = P.cotangent[n * P.cotangent_stride + k];
  const float s = 1.0f / (1.0f + expf(-z));
  P.up_grad[n * P.up_grad_stride + k] = dy * (z * s);
  P.gate_grad[n * P.gate_grad_stride + k] = dy * P.up[n * P.up_stride + k] * (s * fmaf(z, 1.0f - s, 1.0f));
}
