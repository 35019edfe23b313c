// y = x W^T for many rows of x on tensor cores, for cards of compute capability 8.0 on. x comes as round_rows.cu leaves it, f16 with an
// exponent per row. W of f16 is taken as it is; every other format is brought to f16 times a power of two per row of W on the way into shared
// memory, so that all formats share one loop: bf16 keeps its bits but for values 2^-32 of the row's largest, quantized values are
// formed as ggml does in f32 and rounded once. Sums are f32; a residual is added where one is given.
//
// A block computes ROWS rows of x by OUTPUTS rows of W; its warps share each unit of 32 columns. Rows of x (and of an f16 W) come by
// cp.async, STAGES - 1 units ahead. Quantized units are read into registers one unit ahead and written, as f16, to one of two tiles
// while the warps multiply the other. There is one barrier per unit. 16-byte pieces of a row of 64 bytes are exchanged by bits 1 and 2
// of the row's number, so that eight rows that ldmatrix or a quarter of a warp touches lie in different banks.
//
// Sizes: 128 by 128 (warps of 64 by 32) needs 48 KiB of shared memory and at most 128 registers, so that two blocks share a multiprocessor
// and hide each other's barriers; each unit takes a warp 32 matrix instructions for 12 of ldmatrix. 32 by 64 serves at most 64 rows,
// where reading W is what takes time and more blocks read faster. mma.sync reaches what sm_80, sm_86, sm_89 and sm_120 have; on sm_90 and sm_100
// only wgmma and tcgen05 do, and about 60 % of the peak is the most that this kernel can reach there. Every sum goes through the columns in
// the same order whatever the tile is, so that a row's result does not depend on how many rows there are.
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

/// Place of a 16-byte piece of a row, in 16-bit values.
DEVICE int piece(int row, int i) { return row * 32 + ((i ^ (row >> 1)) & 3) * 8; }

#if !IS(f16)
/// Half of a unit, 16 values, as f16 into row `row` of a tile.
template <int HALF> DEVICE void write_half(uint16_t *tile, int row, const Unit &unit, float scale) {
  const float s = unit_scale(unit, HALF);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const float4 a = quad(unit, HALF * 4 + i * 2), b = quad(unit, HALF * 4 + i * 2 + 1);
    *reinterpret_cast<uint4 *>(tile + piece(row, HALF * 2 + i)) =
        make_uint4(half_pair(a.x * s * scale, a.y * s * scale), half_pair(a.z * s * scale, a.w * s * scale),
                   half_pair(b.x * s * scale, b.y * s * scale), half_pair(b.z * s * scale, b.w * s * scale));
  }
}
#endif

template <int ROWS, int OUTPUTS, int WARPS_N, int WARPS_M> DEVICE void multiply(const Parameters &P) {
  constexpr int THREADS = WARPS_N * WARPS_M * 32;
  constexpr int TILES_N = ROWS / WARPS_N / 16, TILES_M = OUTPUTS / WARPS_M / 8;
  constexpr int STAGES = IS(f16) ? 3 : 4;
  static_assert(THREADS == 2 * OUTPUTS && TILES_M % 2 == 0, "half a unit a thread, and fragments of W in pairs");
  SHARED(uint16_t, xs, STAGES * ROWS * 32);
  SHARED(uint16_t, ws, (IS(f16) ? STAGES : 2) * OUTPUTS * 32);
  const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  const int tn = warp / WARPS_M * (ROWS / WARPS_N), tm = warp % WARPS_M * (OUTPUTS / WARPS_M);
  const uint32_t m0 = blockIdx.x * OUTPUTS, n0 = blockIdx.y * ROWS;
  const uint32_t units = unit_count(P.K);

  const auto fetch = [&](uint32_t u) {
    if (u < units) {
      uint16_t *stage = xs + u % STAGES * (ROWS * 32);
#pragma unroll
      for (int j = t; j < ROWS * 4; j += THREADS) {
        const int row = j >> 2, i = j & 3;
        copy_async(stage + piece(row, i), P.x + (uint64_t)min(n0 + row, P.N - 1) * P.x_stride + quad_column(u, i * 2), true);
      }
#if IS(f16)
      uint16_t *tile = ws + u % STAGES * (OUTPUTS * 32);
#pragma unroll
      for (int j = t; j < OUTPUTS * 4; j += THREADS) {
        const int row = j >> 2, i = j & 3;
        const uint32_t k = u * 32 + i * 8;
        const uint64_t start = (uint64_t)(P.first + min(m0 + row, P.M - 1)) * P.pitch;
        copy_async(tile + piece(row, i), P.W.q + (start + (k < P.pitch ? k : 0)) * 2, k < P.pitch);
      }
#endif
    }
    copies_commit();
  };
#if !IS(f16)
  const int own = t % OUTPUTS;
  const uint32_t source = P.first + min(m0 + own, P.M - 1);
  const float scale = power_of_two(P.exponents[source]);
  Unit unit;
  const auto write_unit = [&](uint32_t u) {
    uint16_t *tile = ws + (u & 1) * (OUTPUTS * 32);
    if (t < OUTPUTS) write_half<0>(tile, own, unit, scale);
    else write_half<1>(tile, own, unit, scale);
  };
#endif

  FragmentC sum[TILES_N][TILES_M] = {};
#pragma unroll 1
  for (int u = 0; u < STAGES - 1; u++) fetch(u);
#if !IS(f16)
  load_unit(P.W, source, P.pitch, 0, unit);
  write_unit(0);
  if (units > 1) load_unit(P.W, source, P.pitch, 1, unit);
#endif

#pragma unroll 1
  for (uint32_t u = 0; u < units; u++) {
    copies_wait<STAGES - 2>();
    __syncthreads();
    fetch(u + STAGES - 1);
    const uint16_t *x = xs + u % STAGES * (ROWS * 32);
    const uint16_t *w = ws + (IS(f16) ? u % STAGES : u & 1) * (OUTPUTS * 32);
#pragma unroll
    for (int k = 0; k < 2; k++) {
      FragmentA a[TILES_N];
      FragmentB b[TILES_M];
      // Of x, in turn: rows 0-7 and 8-15 of eight columns, then of the next eight. Of W: eight rows' first and next columns, then the next rows'.
#pragma unroll
      for (int i = 0; i < TILES_N; i++) load_matrices(a[i].v, x + piece(tn + i * 16 + (lane & 15), k * 2 + (lane >> 4)));
#pragma unroll
      for (int j = 0; j < TILES_M; j += 2) {
        uint32_t v[4];
        load_matrices(v, w + piece(tm + j * 8 + (lane & 7) + (lane >> 4) * 8, k * 2 + ((lane >> 3) & 1)));
        b[j] = {{v[0], v[1]}};
        b[j + 1] = {{v[2], v[3]}};
      }
#pragma unroll
      for (int i = 0; i < TILES_N; i++)
#pragma unroll
        for (int j = 0; j < TILES_M; j++) mma_f16(sum[i][j], a[i], b[j]);
    }
#if !IS(f16)
    if (u + 1 < units) {
      write_unit(u + 1);
      if (u + 2 < units) load_unit(P.W, source, P.pitch, u + 2, unit);
    }
#endif
  }

  const uint32_t m1 = m0 + tm + (lane & 3) * 2;
  int w_exponent[TILES_M][2];
#pragma unroll
  for (int j = 0; j < TILES_M; j++)
#pragma unroll
    for (int c = 0; c < 2; c++)
      w_exponent[j][c] = IS(f16) ? 0 : P.exponents[P.first + min(m1 + j * 8 + c, P.M - 1)];
#pragma unroll
  for (int i = 0; i < TILES_N * 2; i++) {
    const uint32_t n = n0 + tn + i * 8 + (lane >> 2);
    if (n >= P.N) continue;
    const int x_exponent = *reinterpret_cast<const int *>(P.x + (uint64_t)n * P.x_stride + (P.K + 31) / 32 * 32);
    float *y = P.y + (uint64_t)n * P.y_stride;
    const float *residual = P.residual == nullptr ? nullptr : P.residual + (uint64_t)n * P.residual_stride;
#pragma unroll
    for (int j = 0; j < TILES_M; j++) {
      const uint32_t m = m1 + j * 8;
      float value[2];
#pragma unroll
      for (int c = 0; c < 2; c++) {
        // In two steps, the smaller first, since the powers' product may be no f32.
        const int a = min(-x_exponent, -w_exponent[j][c]), b = max(-x_exponent, -w_exponent[j][c]);
        value[c] = sum[i >> 1][j].v[(i & 1) * 2 + c] * power_of_two(a) * power_of_two(b);
      }
      if (m + 1 < P.M) {
        float2 r = make_float2(0.0f, 0.0f);
        if (residual != nullptr) r = *reinterpret_cast<const float2 *>(residual + m);
        *reinterpret_cast<float2 *>(y + m) = make_float2(value[0] + r.x, value[1] + r.y);
      } else if (m < P.M) {
        y[m] = value[0] + (residual != nullptr ? residual[m] : 0.0f);
      }
    }
  }
}

KERNEL(gemm_mma_128, Parameters, 256, 2) { multiply<128, 128, 2, 4>(P); }
KERNEL(gemm_mma_32, Parameters, 128, 4) { multiply<32, 64, 1, 4>(P); }

#if !IS(f16)
struct ExponentParameters {
  Weights W;
  int *exponents;
  uint32_t rows, K, pitch;
};

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
