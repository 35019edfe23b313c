// Rows of activations for tensor cores: f16, times a power of two per row that brings the row's largest value between 2^14 and 2^15,
// so that nothing overflows and only what is below 2^-28 of the largest loses bits to f16's least exponent. A block per row. The row
// that is written has its values first, filled up to whole units of 32 with zeros, then the power's exponent.
//
// Fused, where nobody else reads them: norm, x / sqrt(mean(x^2) + eps) g, where g is given; swiglu, silu(x) u, where u is given. They
// are computed twice, to find the largest value and to write, from what the caches still have.
#include "rounding.cuh"

KERNEL_FILE("round_rows")

struct Parameters {
  const float *x;
  const float *g;
  const float *u;
  /// 16-bit values.
  uint16_t *y;
  uint32_t K;
  /// Columns of y, a multiple of 32; behind them lies the exponent.
  uint32_t columns;
  uint32_t x_stride, u_stride;
  /// In 16-bit values.
  uint32_t y_stride;
  float eps;
};
#include "asserts/round_rows.cuh"

constexpr int warps = 8;

KERNEL(round_rows, Parameters, 256) {
  SHARED(float, squares_of, warps);
  SHARED(float, most_of, warps);
  const float *x = P.x + (uint64_t)blockIdx.x * P.x_stride;
  const float *u = P.u == nullptr ? nullptr : P.u + (uint64_t)blockIdx.x * P.u_stride;
  uint16_t *y = P.y + (uint64_t)blockIdx.x * P.y_stride;
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  float norm = 1.0f;
  if (P.g != nullptr) {
    float squares = 0.0f;
    for (uint32_t k = threadIdx.x; k < P.K; k += 256) squares = fmaf(x[k], x[k], squares);
    squares = warp_sum(squares);
    if (lane == 0) squares_of[warp] = squares;
    __syncthreads();
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < warps; i++) total += squares_of[i];
    norm = 1.0f / sqrtf(total / float(P.K) + P.eps);
  }
  const auto value = [&](uint32_t k) {
    if (P.g != nullptr) return x[k] * norm * P.g[k];
    return u == nullptr ? x[k] : silu(x[k]) * u[k];
  };
  float most = 0.0f;
  for (uint32_t k = threadIdx.x; k < P.K; k += 256) most = fmaxf(most, fabsf(value(k)));
  most = warp_max(most);
  if (lane == 0) most_of[warp] = most;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < warps; i++) most = fmaxf(most, most_of[i]);
  const int exponent = row_exponent(most);
  const float scale = power_of_two(exponent);
  for (uint32_t k = threadIdx.x * 2; k < P.columns; k += 512) {
    const uint32_t low = k < P.K ? half_bits(value(k) * scale) : 0u;
    const uint32_t high = k + 1 < P.K ? half_bits(value(k + 1) * scale) : 0u;
    *reinterpret_cast<uint32_t *>(y + k) = low | (high << 16);
  }
  if (threadIdx.x == 0) *reinterpret_cast<int *>(y + P.columns) = exponent;
}
