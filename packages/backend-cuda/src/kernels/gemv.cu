// y = x W^T for one, four or eight rows of x, as decoding has them: bound by how fast W is read. A warp computes ROWS outputs at once,
// its lanes side by side along K, 16 bytes of W each; x comes from shared memory and serves all rows. The sums of a row of x do
// not depend on how many rows there are.
//
// Fused: norm, y = (x g) W^T / sqrt(mean(x^2) + eps), where g is given; a residual, where one is given; and swiglu,
// y = silu(x W^T) (x U^T), where U begins `up` rows behind W.
#include "format.cuh"

KERNEL_FILE("gemv_" FORMAT_NAME)

struct Parameters {
  Weights W;
  const float *x;
  float *y;
  const float *g;
  const float *residual;
  uint32_t K, M, N;
  /// First row of W; blocks of a row.
  uint32_t first, pitch, up;
  uint32_t x_stride, y_stride, residual_stride;
  float eps;
};
#include "asserts/gemv.cuh"

constexpr int warps = 4;

/// Place of column k in a staged row: four words of padding behind every 32, so that lanes meet different banks.
DEVICE uint32_t staged(uint32_t k) { return (k >> 5) * 36 + (k & 31); }

template <int N, int SIDES> DEVICE void gemv(const Parameters &P) {
  constexpr int ROWS = SIDES == 2 ? (N == 1 ? 2 : 1) : (N == 8 ? 2 : 4);
  constexpr int CHUNK = N == 1 ? 128 : N == 4 ? 64 : 32; // units staged at once
  SHARED(float, xs, N * CHUNK * 36);
  SHARED(float, squares_of, N * warps);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const uint32_t m0 = (blockIdx.x * warps + warp) * ROWS;
  const uint32_t n0 = blockIdx.y * N;
  const uint32_t units = unit_count(P.K);

  float sum[SIDES][ROWS][N], squares[N];
#pragma unroll
  for (int n = 0; n < N; n++) {
    squares[n] = 0.0f;
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
      for (int side = 0; side < SIDES; side++) sum[side][r][n] = 0.0f;
  }

#pragma unroll 1
  for (uint32_t c = 0; c < units; c += CHUNK) {
    if (c > 0) __syncthreads();
#pragma unroll
    for (int n = 0; n < N; n++) {
      const float *row = P.x + (uint64_t)min(n0 + n, P.N - 1) * P.x_stride;
      const uint32_t quads = min((uint32_t)CHUNK * 8, (P.K + 3) / 4 - c * 8);
#pragma unroll 1
      for (uint32_t i = threadIdx.x; i < quads; i += warps * 32) {
        const uint32_t k = c * 32 + i * 4;
        float4 v = load4(row, k, P.K);
        if (P.g != nullptr) {
          squares[n] = dot4(v, v, squares[n]);
          const float4 g = load4(P.g, k, P.K);
          v = make_float4(v.x * g.x, v.y * g.y, v.z * g.z, v.w * g.w);
        }
        *reinterpret_cast<float4 *>(xs + n * CHUNK * 36 + staged(i * 4)) = v;
      }
    }
    __syncthreads();
    const uint32_t end = min(units, c + CHUNK);
#pragma unroll 1
    for (uint32_t u = c + lane; u < end; u += 32) {
      Unit unit[SIDES][ROWS];
#pragma unroll
      for (int side = 0; side < SIDES; side++)
#pragma unroll
        for (int r = 0; r < ROWS; r++)
          load_unit(P.W, P.first + side * P.up + min(m0 + r, P.M - 1), P.pitch, u, unit[side][r]);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float partial[SIDES][ROWS][N] = {};
#pragma unroll
        for (int i = half * 4; i < half * 4 + 4; i++) {
          if (FLOATS && quad_column(u, i) >= P.K) continue; // behind the end of the row
          float4 v[N];
#pragma unroll
          for (int n = 0; n < N; n++)
            v[n] = *reinterpret_cast<const float4 *>(xs + n * CHUNK * 36 + staged(quad_column(u, i) - c * 32));
#pragma unroll
          for (int side = 0; side < SIDES; side++)
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
              const float4 w = quad(unit[side][r], i);
#pragma unroll
              for (int n = 0; n < N; n++)
                partial[side][r][n] = dot4(w, v[n], partial[side][r][n]);
            }
        }
#pragma unroll
        for (int side = 0; side < SIDES; side++)
#pragma unroll
          for (int r = 0; r < ROWS; r++) {
            const float s = unit_scale(unit[side][r], half);
#pragma unroll
            for (int n = 0; n < N; n++) sum[side][r][n] = fmaf(s, partial[side][r][n], sum[side][r][n]);
          }
      }
    }
  }

  if (P.g != nullptr) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      const float total = warp_sum(squares[n]);
      if (lane == 0) squares_of[n * warps + warp] = total;
    }
    __syncthreads();
  }
#pragma unroll
  for (int n = 0; n < N; n++) {
    float norm = 1.0f;
    if (P.g != nullptr) {
      const float *s = squares_of + n * warps;
      norm = 1.0f / sqrtf((s[0] + s[1] + s[2] + s[3]) / float(P.K) + P.eps);
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      float value = warp_sum(sum[0][r][n]) * norm;
      if (SIDES == 2) value = silu(value) * (warp_sum(sum[SIDES - 1][r][n]) * norm);
      if (lane != 0 || n0 + n >= P.N || m0 + r >= P.M) continue;
      if (P.residual != nullptr) value += P.residual[(uint64_t)(n0 + n) * P.residual_stride + m0 + r];
      P.y[(uint64_t)(n0 + n) * P.y_stride + m0 + r] = value;
    }
  }
}

KERNEL(gemv_1, Parameters, 128, 2) { gemv<1, 1>(P); }
KERNEL(gemv_4, Parameters, 128, 2) { gemv<4, 1>(P); }
KERNEL(gemv_8, Parameters, 128, 2) { gemv<8, 1>(P); }
KERNEL(gemv_swiglu_1, Parameters, 128, 2) { gemv<1, 2>(P); }
KERNEL(gemv_swiglu_4, Parameters, 128, 2) { gemv<4, 2>(P); }
KERNEL(gemv_swiglu_8, Parameters, 128, 2) { gemv<8, 2>(P); }
