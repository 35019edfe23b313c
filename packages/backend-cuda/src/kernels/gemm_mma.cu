// y = x W^T for many rows of x on tensor cores, for cards of compute capability 8.0 on. x comes as round_rows.cu leaves it, f16 with an
// exponent per row. W of f16 is taken as it is; every other format is brought to f16 times a power of two per row of W on the way
// into shared memory, so that all formats share one loop: bf16 keeps its bits where they are not below 2^-31 of the row's largest,
// quantized values are formed as ggml does in f32 and rounded once. Sums are f32; a residual is added where one is given.
//
// A block computes ROWS rows of x by OUTPUTS rows of W; its warps share each unit of 32 columns. Rows of x (and of an f16 W) come by
// cp.async, STAGES - 1 units ahead. Quantized units are read into registers one unit ahead and written, as f16, to one of two tiles
// while the tensor cores multiply the other. There is one barrier per unit. 16-byte pieces of a row of 64 bytes are exchanged by bits
// 1 and 2 of the row's number, so that eight rows that ldmatrix or a quarter of a warp touches lie in different banks.
//
// Sizes: 128 by 128 by four warps of 64 by 64 takes 48 KiB of shared memory and about 220 registers, so that two blocks share a
// multiprocessor and hide each other's barriers. A unit takes a warp 64 matrix instructions and 16 of ldmatrix; shared memory is read
// and written for 384 clocks of the 512 (sm_80) or 1024 (sm_86, sm_89, sm_120) that a unit takes the tensor cores. 32 by 64 by four
// warps of 32 by 16 serves at most 64 rows, where reading W is what takes time and more blocks read faster. mma.sync reaches all that
// sm_80 to sm_89 and sm_120 have, and about 60 % of what wgmma does on sm_90; on sm_100 less, where tcgen05 alone reaches the peak.
// Blocks that share rows of W follow each other, so that W comes from memory once, and x, which is smaller, from the cache. Every sum
// goes through the columns in the same order whatever the tile is, so that a row's result does not depend on how many rows there are.
#define CONTIGUOUS
#include "format.cuh"
#include "mma.cuh"
#include "rounding.cuh"

KERNEL_FILE("gemm_mma_" FORMAT_NAME)

struct Parameters {
  Weights W;
  /// Rows of W: exponents of their powers of two; none of f16.
  const int *exponents;
  const uint16_t *x;
  float *y;
  const float *residual;
  uint32_t K, M, N;
  uint32_t first, pitch;
  /// In 16-bit values; an exponent lies behind the row's columns.
  uint32_t x_stride;
  uint32_t y_stride, residual_stride;
};
#include "asserts/gemm_mma.cuh"

/// Place of a 16-byte piece of a row, in 16-bit values.
DEVICE int piece(int row, int i) { return row * 32 + ((i ^ (row >> 1)) & 3) * 8; }

#if !IS(f16)
/// Half of a unit, 16 values, as f16 into row `row` of a tile.
template <int HALF> DEVICE void write_half(uint16_t *tile, int row, const Unit &unit, float scale) {
  const float s = unit_scale(unit, HALF) * scale; // exact, so that products round as ggml's do
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const float4 a = quad(unit, HALF * 4 + i * 2), b = quad(unit, HALF * 4 + i * 2 + 1);
    *reinterpret_cast<uint4 *>(tile + piece(row, HALF * 2 + i)) =
        make_uint4(half_pair(a.x * s, a.y * s), half_pair(a.z * s, a.w * s), half_pair(b.x * s, b.y * s), half_pair(b.z * s, b.w * s));
  }
}
#endif

template <int ROWS, int OUTPUTS, int WARPS_N, int WARPS_M> DEVICE void multiply(const Parameters &P) {
  constexpr int THREADS = WARPS_N * WARPS_M * 32;
  constexpr int TILES_N = ROWS / WARPS_N / 16, TILES_M = OUTPUTS / WARPS_M / 8;
  constexpr int STAGES = IS(f16) ? 3 : 4;
  static_assert(THREADS == OUTPUTS || THREADS == 2 * OUTPUTS, "a unit of W, or half of one, for each thread");
  static_assert(TILES_M % 2 == 0, "fragments of W come in pairs");
  SHARED(uint16_t, xs, STAGES * ROWS * 32);
  SHARED(uint16_t, ws, (IS(f16) ? STAGES : 2) * OUTPUTS * 32);
  const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  const int tn = warp / WARPS_M * (ROWS / WARPS_N), tm = warp % WARPS_M * (OUTPUTS / WARPS_M);
  const uint32_t m0 = blockIdx.y * OUTPUTS, n0 = blockIdx.x * ROWS;
  const int units = unit_count(P.K);

  // Each thread copies piece t % 4 of every THREADS / 4th row, which are a multiple of eight rows apart.
  constexpr int APART = THREADS / 4;
  const int from = t >> 2, to = piece(t >> 2, t & 3);
  const uint16_t *x_rows[ROWS / APART];
#pragma unroll
  for (int i = 0; i < ROWS / APART; i++) x_rows[i] = P.x + (uint64_t)min(n0 + from + i * APART, P.N - 1) * P.x_stride;
#if IS(f16)
  const uint8_t *w_rows[OUTPUTS / APART];
#pragma unroll
  for (int i = 0; i < OUTPUTS / APART; i++)
    w_rows[i] = P.W.q + (uint64_t)(P.first + min(m0 + from + i * APART, P.M - 1)) * P.pitch * 2;
#endif
  const auto fetch = [&](int u, int stage) {
    if (u < units) {
      const uint32_t column = quad_column(u, (t & 3) * 2);
#pragma unroll
      for (int i = 0; i < ROWS / APART; i++) copy_async(xs + (stage * ROWS + i * APART) * 32 + to, x_rows[i] + column, true);
#if IS(f16)
      const bool present = column < P.pitch;
#pragma unroll
      for (int i = 0; i < OUTPUTS / APART; i++)
        copy_async(ws + (stage * OUTPUTS + i * APART) * 32 + to, w_rows[i] + (present ? column * 2 : 0), present);
#endif
    }
    copies_commit();
  };
#if !IS(f16)
  const int own = t % OUTPUTS;
  const uint32_t source = P.first + min(m0 + own, P.M - 1);
  const float scale = power_of_two(P.exponents[source]);
  Unit unit;
  const auto write_unit = [&](int u) {
    uint16_t *tile = ws + (u & 1) * (OUTPUTS * 32);
    if (THREADS == OUTPUTS || t < OUTPUTS) write_half<0>(tile, own, unit, scale);
    if (THREADS == OUTPUTS || t >= OUTPUTS) write_half<1>(tile, own, unit, scale);
  };
#endif

  FragmentC sum[TILES_N][TILES_M] = {};
#pragma unroll 1
  for (int u = 0; u < STAGES - 1; u++) fetch(u, u);
#if !IS(f16)
  load_unit(P.W, source, P.pitch, 0, unit);
#endif

  int stage = 0; // of unit u; the one before it is free
#pragma unroll 1
  for (int u = IS(f16) ? 0 : -1; u < units; u++) {
    if (IS(f16) || u >= 0) {
      copies_wait<STAGES - 2>();
      __syncthreads();
      fetch(u + STAGES - 1, stage == 0 ? STAGES - 1 : stage - 1);
      const uint16_t *x = xs + (stage * ROWS + tn) * 32;
      const uint16_t *w = ws + ((IS(f16) ? stage : u & 1) * OUTPUTS + tm) * 32;
      stage = stage == STAGES - 1 ? 0 : stage + 1;
#pragma unroll
      for (int k = 0; k < 2; k++) {
        FragmentA a[TILES_N];
        FragmentB b[TILES_M];
        // Matrices of x: rows 0-7 and 8-15 of eight columns, then of the next eight. Of W: both columns of eight rows, then of the next.
#pragma unroll
        for (int i = 0; i < TILES_N; i++) load_matrices(a[i].v, x + i * 16 * 32 + piece(lane & 15, k * 2 + (lane >> 4)));
#pragma unroll
        for (int j = 0; j < TILES_M; j += 2) {
          uint32_t v[4];
          load_matrices(v, w + j * 8 * 32 + piece((lane & 7) + (lane >> 4) * 8, k * 2 + ((lane >> 3) & 1)));
          b[j] = {{v[0], v[1]}};
          b[j + 1] = {{v[2], v[3]}};
        }
#pragma unroll
        for (int i = 0; i < TILES_N; i++)
#pragma unroll
          for (int j = 0; j < TILES_M; j++) mma_f16(sum[i][j], a[i], b[j]);
      }
    }
#if !IS(f16)
    // Behind the matrix instructions, which go on meanwhile.
    if (u + 1 < units) {
      write_unit(u + 1);
      if (u + 2 < units) load_unit(P.W, source, P.pitch, u + 2, unit);
    }
#endif
  }

  // Sums leave by way of shared memory, 16 rows of a warp at a time, so that whole lines are written.
  constexpr int WIDTH = OUTPUTS / WARPS_M, PITCH = WIDTH + 8, LANES = WIDTH / 4;
  static_assert(THREADS / 32 * 16 * PITCH * 4 <= STAGES * ROWS * 32 * 2, "lines fit where x was");
  __syncthreads();
  float *lines = reinterpret_cast<float *>(xs) + warp * 16 * PITCH;
  const uint32_t m = m0 + tm + lane % LANES * 4;
  int w_exponents[4];
#pragma unroll
  for (int c = 0; c < 4; c++) w_exponents[c] = IS(f16) ? 0 : P.exponents[P.first + min(m + c, P.M - 1)];
#pragma unroll
  for (int i = 0; i < TILES_N; i++) {
    if (i > 0) __syncwarp();
#pragma unroll
    for (int j = 0; j < TILES_M; j++)
#pragma unroll
      for (int side = 0; side < 2; side++)
        *reinterpret_cast<float2 *>(lines + (side * 8 + (lane >> 2)) * PITCH + j * 8 + (lane & 3) * 2) =
            make_float2(sum[i][j].v[side * 2], sum[i][j].v[side * 2 + 1]);
    __syncwarp();
#pragma unroll 1
    for (int row = lane / LANES; row < 16; row += 32 / LANES) {
      const uint32_t n = n0 + tn + i * 16 + row;
      if (n >= P.N || m >= P.M) break;
      const int x_exponent = *reinterpret_cast<const int *>(P.x + (uint64_t)n * P.x_stride + units * 32);
      const float4 v = *reinterpret_cast<const float4 *>(lines + row * PITCH + lane % LANES * 4);
      float values[4] = {v.x, v.y, v.z, v.w};
      // In two steps, the smaller first, since the powers' product may be no f32.
#pragma unroll
      for (int c = 0; c < 4; c++)
        values[c] = values[c] * power_of_two(min(-x_exponent, -w_exponents[c])) * power_of_two(max(-x_exponent, -w_exponents[c]));
      float *y = P.y + (uint64_t)n * P.y_stride + m;
      const float *residual = P.residual + (uint64_t)n * P.residual_stride + m;
      if (m + 4 <= P.M) {
        float4 r = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (P.residual != nullptr) r = *reinterpret_cast<const float4 *>(residual);
        *reinterpret_cast<float4 *>(y) = make_float4(values[0] + r.x, values[1] + r.y, values[2] + r.z, values[3] + r.w);
      } else {
#pragma unroll
        for (int c = 0; c < 3; c++)
          if (m + c < P.M) y[c] = values[c] + (P.residual != nullptr ? residual[c] : 0.0f);
      }
    }
  }
}

KERNEL(gemm_mma_128, Parameters, 128, 2) { multiply<128, 128, 2, 2>(P); }
KERNEL(gemm_mma_32, Parameters, 128, 4) { multiply<32, 64, 1, 4>(P); }

#if !IS(f16)
struct ExponentParameters {
  Weights W;
  int *exponents;
  uint32_t rows, K, pitch;
};
#include "asserts/gemm_mma_exponents.cuh"

/// Exponents of rows of W, once when it is loaded; a warp per row.
KERNEL(row_exponents, ExponentParameters, 128) {
  const uint32_t row = blockIdx.x * 4 + (threadIdx.x >> 5);
  if (row >= P.rows) return;
  float most = 0.0f;
  for (uint32_t u = threadIdx.x & 31; u < unit_count(P.K); u += 32) {
    Unit unit;
    load_unit(P.W, row, P.pitch, u, unit);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float s = unit_scale(unit, i >> 2);
      const float4 v = quad(unit, i);
      most = fmaxf(most, fmaxf(fmaxf(fabsf(v.x * s), fabsf(v.y * s)), fmaxf(fabsf(v.z * s), fabsf(v.w * s))));
    }
  }
  most = warp_max(most);
  if ((threadIdx.x & 31) == 0) P.exponents[row] = row_exponent(most);
}
#endif
