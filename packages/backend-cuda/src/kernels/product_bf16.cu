// Products of matrices for training on tensor cores, for cards of compute capability 8.0 on: y = x W^T, the gradient of a linear by its
// input, cotangent W, and by its weight, cotangent^T x. Operands are rounded to bf16 once, into memory of their own (round_bf16), which has
// f32's exponents, so that nothing needs a scale; sums are f32, and so is what is added. An operand lies with the summed dimension along its
// rows, or, transposed, across them: ldmatrix turns it as it is read, so that no matrix is turned in memory.
//
// A block computes ROWS by COLUMNS of y; each of its four warps has half of both. Pieces of 16 bytes come by cp.async, two units of 32
// terms ahead, and there is one barrier per unit. Within a tile pieces change places by the number of their row, so that eight rows that ldmatrix
// touches lie in different banks. A unit takes a warp 32 matrix instructions and 12 of ldmatrix. Every sum goes through its terms in the
// same order, wherever it lies in y.
#include "mma.cuh"

KERNEL_FILE("product_bf16")

struct RoundParameters {
  const float *x;
  uint16_t *y;
  uint32_t columns;
  uint32_t x_stride;
  /// In 16-bit values, a multiple of 8; what lies behind the columns becomes zero.
  uint32_t y_stride;
};

struct ProductParameters {
  const uint16_t *a;
  const uint16_t *b;
  float *y;
  /// Of the shape of y, which it may be, or null.
  const float *residual;
  /// Of y, and the terms of a sum.
  uint32_t rows, columns, depth;
  /// In 16-bit values.
  uint32_t a_stride, b_stride;
  uint32_t y_stride, residual_stride;
};
#include "asserts/product_bf16.cuh"

/// Two values as bf16, rounded to nearest; NaN stays NaN.
DEVICE uint32_t bfloat_pair(float low, float high) {
#ifdef __CUDACC__
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  const auto bits = [](float value) { return value == value ? bfloat_bits(value) : 0x7fffu; };
  return bits(low) | bits(high) << 16;
#endif
}

/// A block per row.
KERNEL(round_bf16, RoundParameters, 128) {
  const float *x = P.x + (uint64_t)blockIdx.x * P.x_stride;
  uint16_t *y = P.y + (uint64_t)blockIdx.x * P.y_stride;
  for (uint32_t k = threadIdx.x * 4; k < P.y_stride; k += 512) {
    const float4 v = load4(x, k, P.columns);
    *reinterpret_cast<uint2 *>(y + k) = make_uint2(bfloat_pair(v.x, v.y), bfloat_pair(v.z, v.w));
  }
}

constexpr int ROWS = 128, COLUMNS = 64;
constexpr int THREADS = 128;
constexpr int STAGES = 3;
/// Terms of a unit.
constexpr int UNIT = 32;

/// Place of a 16-byte piece of a row of a tile, in 16-bit values. Tiles are [SIZE, UNIT], transposed [UNIT, SIZE].
template <int SIZE, bool TRANSPOSED> DEVICE int piece(int row, int i) {
  return TRANSPOSED ? row * SIZE + (i ^ (row & 7)) * 8 : row * UNIT + ((i ^ (row >> 1)) & 3) * 8;
}

/// Starts copies of the terms from `start` on of SIZE rows, or columns, of y from `first` on, of which there are `count`. Zeros are behind
/// the last term.
template <int SIZE, bool TRANSPOSED>
DEVICE void fetch(uint16_t *tile, const uint16_t *from, uint32_t stride, uint32_t first, uint32_t count, uint32_t start, uint32_t depth) {
  constexpr int PIECES = (TRANSPOSED ? SIZE : UNIT) / 8;
#pragma unroll
  for (int j = 0; j < SIZE * UNIT / 8 / THREADS; j++) {
    const int at = j * THREADS + threadIdx.x, row = at / PIECES, i = at % PIECES;
    const uint32_t source = (TRANSPOSED ? start : first) + row, column = (TRANSPOSED ? first : start) + i * 8;
    const bool present = source < (TRANSPOSED ? depth : count) && column < stride;
    copy_async(tile + piece<SIZE, TRANSPOSED>(row, i), from + (present ? (uint64_t)source * stride + column : 0), present);
  }
}

template <bool A_TRANSPOSED, bool B_TRANSPOSED> DEVICE void multiply(const ProductParameters &P) {
  constexpr int TILES_R = ROWS / 2 / 16, TILES_C = COLUMNS / 2 / 8;
  SHARED(uint16_t, as, STAGES * ROWS * UNIT);
  SHARED(uint16_t, bs, STAGES * COLUMNS * UNIT);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const int tr = (warp >> 1) * (ROWS / 2), tc = (warp & 1) * (COLUMNS / 2);
  const uint32_t r0 = blockIdx.y * ROWS, c0 = blockIdx.x * COLUMNS;
  const int units = (P.depth + UNIT - 1) / UNIT;
  const auto fetch_unit = [&](int u, int stage) {
    if (u < units) {
      fetch<ROWS, A_TRANSPOSED>(as + stage * ROWS * UNIT, P.a, P.a_stride, r0, P.rows, u * UNIT, P.depth);
      fetch<COLUMNS, B_TRANSPOSED>(bs + stage * COLUMNS * UNIT, P.b, P.b_stride, c0, P.columns, u * UNIT, P.depth);
    }
    copies_commit();
  };

  FragmentC sum[TILES_R][TILES_C] = {};
#pragma unroll 1
  for (int u = 0; u < STAGES - 1; u++) fetch_unit(u, u);
  int stage = 0; // of unit u; the one before it is free
#pragma unroll 1
  for (int u = 0; u < units; u++) {
    copies_wait<STAGES - 2>();
    __syncthreads();
    fetch_unit(u + STAGES - 1, stage == 0 ? STAGES - 1 : stage - 1);
    const uint16_t *a_tile = as + stage * ROWS * UNIT;
    const uint16_t *b_tile = bs + stage * COLUMNS * UNIT;
    stage = stage == STAGES - 1 ? 0 : stage + 1;
#pragma unroll
    for (int k = 0; k < 2; k++) {
      FragmentA a[TILES_R];
      FragmentB b[TILES_C];
      // Matrices of a: rows 0-7 and 8-15 of eight terms, then of the next eight. Of b: both terms of eight columns, then of the next.
#pragma unroll
      for (int i = 0; i < TILES_R; i++) {
        const int row = tr + i * 16;
        if (A_TRANSPOSED)
          load_matrices<true>(a[i].v, a_tile + piece<ROWS, true>(k * 16 + (lane & 7) + (lane >> 4) * 8, row / 8 + ((lane >> 3) & 1)));
        else
          load_matrices(a[i].v, a_tile + piece<ROWS, false>(row + (lane & 15), k * 2 + (lane >> 4)));
      }
#pragma unroll
      for (int j = 0; j < TILES_C; j += 2) {
        const int column = tc + j * 8;
        uint32_t v[4];
        if (B_TRANSPOSED)
          load_matrices<true>(v, b_tile + piece<COLUMNS, true>(k * 16 + (lane & 15), column / 8 + (lane >> 4)));
        else
          load_matrices(v, b_tile + piece<COLUMNS, false>(column + (lane & 7) + (lane >> 4) * 8, k * 2 + ((lane >> 3) & 1)));
        b[j] = {{v[0], v[1]}};
        b[j + 1] = {{v[2], v[3]}};
      }
#pragma unroll
      for (int i = 0; i < TILES_R; i++)
#pragma unroll
        for (int j = 0; j < TILES_C; j++) mma_bf16(sum[i][j], a[i], b[j]);
    }
  }

#pragma unroll
  for (int i = 0; i < TILES_R; i++)
#pragma unroll
    for (int j = 0; j < TILES_C; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const uint32_t r = r0 + tr + i * 16 + (e >> 1) * 8 + (lane >> 2), c = c0 + tc + j * 8 + (lane & 3) * 2 + (e & 1);
        if (r >= P.rows || c >= P.columns) continue;
        float value = sum[i][j].v[e];
        if (P.residual != nullptr) value += P.residual[(uint64_t)r * P.residual_stride + c];
        P.y[(uint64_t)r * P.y_stride + c] = value;
      }
}

KERNEL(linear_bf16, ProductParameters, 128, 3) { multiply<false, false>(P); }
KERNEL(input_grad_bf16, ProductParameters, 128, 3) { multiply<false, true>(P); }
KERNEL(weight_grad_bf16, ProductParameters, 128, 3) { multiply<true, true>(P); }
