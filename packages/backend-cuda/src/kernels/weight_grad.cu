// y = cotangent^T x + residual: the gradient of a linear by its weight, a sum in f32 over the rows of a step in their order. In tiles of
// 64 rows by 64 columns of the weight; 32 rows of the step at a time are in shared memory, and each thread holds 4 by 4 sums. Columns that
// pad a row of the weight become zero, so that an optimizer may go over them.
#include "common.cuh"

KERNEL_FILE("weight_grad")

struct Parameters {
  const float *x;
  const float *cotangent;
  float *y;
  /// Of the shape of y, or null.
  const float *residual;
  uint32_t K, M, N;
  uint32_t x_stride, cotangent_stride, y_stride;
};
#include "asserts/weight_grad.cuh"

constexpr int tile = 64;
constexpr int depth = 32;
constexpr int pad = tile + 4;

KERNEL(weight_grad, Parameters, 256) {
  SHARED(float, xs, depth * pad);
  SHARED(float, ds, depth * pad);
  const uint32_t k0 = blockIdx.x * tile, m0 = blockIdx.y * tile;
  const uint32_t t = threadIdx.x;
  const uint32_t tk = (t & 15) * 4, tm = (t >> 4) * 4;
  const float4 none = make_float4(0, 0, 0, 0);
  float sum[4][4] = {};

  for (uint32_t n0 = 0; n0 < P.N; n0 += depth) {
    if (n0 > 0) __syncthreads();
    for (uint32_t j = t; j < depth * 16; j += 256) {
      const uint32_t row = j >> 4, column = (j & 15) * 4, n = n0 + row;
      const bool there = n < P.N;
      const float4 x = there ? load4(P.x + (uint64_t)n * P.x_stride, k0 + column, P.K) : none;
      const float4 d = there ? load4(P.cotangent + (uint64_t)n * P.cotangent_stride, m0 + column, P.M) : none;
      *reinterpret_cast<float4 *>(xs + row * pad + column) = x;
      *reinterpret_cast<float4 *>(ds + row * pad + column) = d;
    }
    __syncthreads();
#pragma unroll 8
    for (int n = 0; n < depth; n++) {
      const float4 x = *reinterpret_cast<const float4 *>(xs + n * pad + tk);
      const float4 d = *reinterpret_cast<const float4 *>(ds + n * pad + tm);
      const float xv[4] = {x.x, x.y, x.z, x.w}, dv[4] = {d.x, d.y, d.z, d.w};
#pragma unroll
      for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) sum[a][b] = fmaf(dv[a], xv[b], sum[a][b]);
    }
  }
#pragma unroll
  for (int a = 0; a < 4; a++)
#pragma unroll
    for (int b = 0; b < 4; b++) {
      const uint32_t m = m0 + tm + a, k = k0 + tk + b;
      if (m >= P.M || k >= P.y_stride) continue;
      const uint64_t at = (uint64_t)m * P.y_stride + k;
      P.y[at] = P.residual == nullptr ? sum[a][b] : sum[a][b] + P.residual[at];
    }
}
