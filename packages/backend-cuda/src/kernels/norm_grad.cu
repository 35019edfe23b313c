// The gradients of RMSNorm, with s = 1 / sqrt(mean(x^2) + eps) and g = cotangent weight: by its input
// y = s (g - x s^2 mean(g x)) + residual, a block per row, which leaves s behind; by its weight y = residual + the sum over rows, in their
// order, of cotangent x s, a thread per column.
#include "block.cuh"

KERNEL_FILE("norm_grad")

struct Parameters {
  const float *x;
  const float *cotangent;
  const float *g;
  /// s of each row.
  float *inverses;
  float *y;
  const float *residual;
  uint32_t width, x_stride, cotangent_stride, y_stride, residual_stride;
  float eps;
};

struct WeightParameters {
  const float *x;
  const float *cotangent;
  const float *inverses;
  float *y;
  const float *residual;
  uint32_t rows, width, x_stride, cotangent_stride;
};
#include "asserts/norm_grad.cuh"

KERNEL(norm_grad, Parameters, block_threads) {
  SHARED(float, partial, block_warps);
  const float *x = P.x + (uint64_t)blockIdx.x * P.x_stride;
  const float *dy = P.cotangent + (uint64_t)blockIdx.x * P.cotangent_stride;
  float squares = 0.0f, product = 0.0f;
  for (uint32_t k = threadIdx.x; k < P.width; k += block_threads) {
    squares = fmaf(x[k], x[k], squares);
    product = fmaf(dy[k] * P.g[k], x[k], product);
  }
  squares = block_sum(squares, partial);
  product = block_sum(product, partial);
  const float s = 1.0f / sqrtf(squares / float(P.width) + P.eps);
  const float along = s * s * product / float(P.width);
  if (threadIdx.x == 0) P.inverses[blockIdx.x] = s;
  float *y = P.y + (uint64_t)blockIdx.x * P.y_stride;
  for (uint32_t k = threadIdx.x; k < P.width; k += block_threads) {
    const float own = s * (dy[k] * P.g[k] - x[k] * along);
    y[k] = P.residual == nullptr ? own : own + P.residual[(uint64_t)blockIdx.x * P.residual_stride + k];
  }
}

KERNEL(norm_weight_grad, WeightParameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k >= P.width) return;
  float sum = P.residual == nullptr ? 0.0f : P.residual[k];
  for (uint32_t n = 0; n < P.rows; n++) {
    const float product = P.cotangent[(uint64_t)n * P.cotangent_stride + k] * P.x[(uint64_t)n * P.x_stride + k];
    sum = fmaf(product, P.inverses[n], sum);
  }
  P.y[k] = sum;
}
