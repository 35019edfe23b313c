// y = x W^T for many rows of x, as prompts have them, in f32: where tensor cores are not wanted or not there, and for W of f32
// (gemm_mma.cu is for the others). In tiles of 64 outputs by 64 rows. W is dequantized once per tile into
// shared memory, unit by unit along K; each thread holds 4 by 4 sums in f32. A residual is added where one is given. The sums of
// a row do not depend on the other rows.
#define CONTIGUOUS
#include "format.cuh"

KERNEL_FILE("gemm_" FORMAT_NAME)

struct Parameters {
  Weights W;
  const float *x;
  float *y;
  const float *residual;
  uint32_t K, M, N;
  uint32_t first, pitch;
  uint32_t x_stride, y_stride, residual_stride;
};
#include "asserts/gemm.cuh"

constexpr int tile = 64;
constexpr int pad = tile + 4;

KERNEL(gemm, Parameters, 256) {
  SHARED(float, ws, 32 * pad);
  SHARED(float, xs, 32 * pad);
  const uint32_t m0 = blockIdx.x * tile, n0 = blockIdx.y * tile;
  const uint32_t t = threadIdx.x;
  const uint32_t tm = (t & 15) * 4, tn = (t >> 4) * 4;
  const uint32_t units = unit_count(P.K);
  float sum[4][4] = {};

  for (uint32_t u = 0; u < units; u++) {
    if (u > 0) __syncthreads();
    if (t < tile) {
      Unit unit;
      load_unit(P.W, P.first + min(m0 + t, P.M - 1), P.pitch, u, unit);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const float s = unit_scale(unit, i >> 2);
        const float4 w = quad(unit, i);
        ws[(4 * i + 0) * pad + t] = w.x * s;
        ws[(4 * i + 1) * pad + t] = w.y * s;
        ws[(4 * i + 2) * pad + t] = w.z * s;
        ws[(4 * i + 3) * pad + t] = w.w * s;
      }
    } else {
      for (uint32_t j = t - tile; j < tile * 8; j += 256 - tile) {
        const uint32_t n = j >> 3;
        const int i = j & 7;
        const float4 v = load4(P.x + (uint64_t)min(n0 + n, P.N - 1) * P.x_stride, quad_column(u, i), P.K);
        xs[(4 * i + 0) * pad + n] = v.x;
        xs[(4 * i + 1) * pad + n] = v.y;
        xs[(4 * i + 2) * pad + n] = v.z;
        xs[(4 * i + 3) * pad + n] = v.w;
      }
    }
    __syncthreads();
#pragma unroll 8
    for (int k = 0; k < 32; k++) {
      const float4 w = *reinterpret_cast<const float4 *>(ws + k * pad + tm);
      const float4 v = *reinterpret_cast<const float4 *>(xs + k * pad + tn);
      const float wv[4] = {w.x, w.y, w.z, w.w}, xv[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int a = 0; a < 4; a++)
#pragma unroll
        for (int b = 0; b < 4; b++) sum[a][b] = fmaf(wv[b], xv[a], sum[a][b]);
    }
  }
#pragma unroll
  for (int a = 0; a < 4; a++)
#pragma unroll
    for (int b = 0; b < 4; b++) {
      const uint32_t n = n0 + tn + a, m = m0 + tm + b;
      if (n >= P.N || m >= P.M) continue;
      float value = sum[a][b];
      if (P.residual != nullptr) value += P.residual[(uint64_t)n * P.residual_stride + m];
      P.y[(uint64_t)n * P.y_stride + m] = value;
    }
}
