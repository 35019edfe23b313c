// y = cotangent W + residual: the gradient of a linear by its input, from W as it is stored, in f32. In tiles of 64 columns by 64 rows, as
// gemm.cu has them: two units of each of 32 rows of W at a time are dequantized into shared memory, beside as many columns of the
// cotangent; each thread holds 4 by 4 sums. Where a unit's columns are not side by side, neither are a tile's.
#define CONTIGUOUS
#include "format.cuh"

KERNEL_FILE("input_grad_" FORMAT_NAME)

struct Parameters {
  Weights W;
  const float *cotangent;
  float *y;
  /// May be y itself.
  const float *residual;
  uint32_t K, M, N;
  uint32_t first, pitch;
  uint32_t cotangent_stride, y_stride, residual_stride;
};
#include "asserts/input_grad.cuh"

constexpr int tile = 64;
constexpr int depth = 32;
constexpr int pad = tile + 4;

KERNEL(input_grad, Parameters, 256) {
  SHARED(float, ws, depth * pad);
  SHARED(float, ds, depth * pad);
  const uint32_t u0 = blockIdx.x * 2, n0 = blockIdx.y * tile;
  const uint32_t t = threadIdx.x;
  const uint32_t tk = (t & 15) * 4, tn = (t >> 4) * 4;
  const uint32_t units = unit_count(P.K);
  float sum[4][4] = {};

  for (uint32_t m0 = 0; m0 < P.M; m0 += depth) {
    if (m0 > 0) __syncthreads();
    if (t < tile) {
      Unit unit;
      load_unit(P.W, P.first + min(m0 + (t >> 1), P.M - 1), P.pitch, min(u0 + (t & 1), units - 1), unit);
      float *row = ws + (t >> 1) * pad + (t & 1) * 32;
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const float s = unit_scale(unit, i >> 2);
        const float4 w = quad(unit, i);
        *reinterpret_cast<float4 *>(row + 4 * i) = make_float4(w.x * s, w.y * s, w.z * s, w.w * s);
      }
    } else {
      for (uint32_t j = t - tile; j < tile * 8; j += 256 - tile) {
        const uint32_t n = j >> 3, m = (j & 7) * 4;
        const float4 v = load4(P.cotangent + (uint64_t)min(n0 + n, P.N - 1) * P.cotangent_stride, m0 + m, P.M);
        ds[(m + 0) * pad + n] = v.x;
        ds[(m + 1) * pad + n] = v.y;
        ds[(m + 2) * pad + n] = v.z;
        ds[(m + 3) * pad + n] = v.w;
      }
    }
    __syncthreads();
#pragma unroll 8
    for (int m = 0; m < depth; m++) {
      const float4 w = *reinterpret_cast<const float4 *>(ws + m * pad + tk);
      const float4 v = *reinterpret_cast<const float4 *>(ds + m * pad + tn);
      const float wv[4] = {w.x, w.y, w.z, w.w}, dv[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) sum[a][b] = fmaf(wv[b], dv[a], sum[a][b]);
    }
  }
  const uint32_t u = u0 + (tk >> 5);
  if (u >= units) return;
  const uint32_t k0 = quad_column(u, (tk >> 2) & 7);
#pragma unroll
  for (int a = 0; a < 4; a++)
#pragma unroll
    for (int b = 0; b < 4; b++) {
      const uint32_t n = n0 + tn + a, k = k0 + b;
      if (n >= P.N || k >= P.K) continue;
      float value = sum[a][b];
      if (P.residual != nullptr) value += P.residual[(uint64_t)n * P.residual_stride + k];
      P.y[(uint64_t)n * P.y_stride + k] = value;
    }
}
