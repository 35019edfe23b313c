// y = cotangent^T x + residual: the gradient of a linear by its weight, in groups of 16 interleaved rows like the weight.
// Every sum takes its rows in their order, in f32, whatever computes it.
#pragma once
#include "common.h"
#include "format.h"

namespace KERNELS {

/** Groups of a unit, rows that are summed before sums are stored, and columns that are summed at once. */
constexpr u32 grad_groups = 16, grad_rows = 128, grad_columns = L == 16 ? 8 : 6;
/** Rows of the weight in a pass. */
constexpr u32 grad_pass = L * tile_slices;

struct GradPiece {
  const WeightGradStep& step;
  const Context& context;
  /** Cotangents [passes, rows, grad_pass], zeros behind the matrix. */
  float* packed;
  /** Columns of x [rows, grad_columns]. */
  float* tile;
  u32 group, groups, first, count;
};

INLINE void pack_cotangents(const GradPiece& p) {
  const WeightGradStep& s = p.step;
  for (u32 n = 0; n < p.count; n++) {
    const float* row = row_at(at<const float>(p.context, s.cotangent), s.cotangentStride, p.first + n);
    for (u32 pass = 0; grad_pass * pass < group_rows * p.groups; pass++) {
      float* to = p.packed + grad_pass * (grad_rows * pass + n);
      for (u32 i = 0; i < grad_pass; i += L) {
        const u32 m = group_rows * p.group + grad_pass * pass + i;
        store(to + i, m < s.matrixRows ? load_part(row + m, s.matrixRows - m) : set1(0));
      }
    }
  }
}

/** T columns from `column` on, of all passes. */
template <u32 T> INLINE void grad_tile(const GradPiece& p, u32 column) {
  constexpr u32 S = tile_slices;
  const WeightGradStep& s = p.step;
  for (u32 n = 0; n < p.count; n++) {
    const float* x = row_at(at<const float>(p.context, s.x), s.xStride, p.first + n) + column;
    for (u32 t = 0; t < T; t++) p.tile[T * n + t] = x[t];
  }
  float* y = at<float>(p.context, s.y);
  const float* before = p.first > 0 ? y : s.residual ? at<const float>(p.context, s.residual) : nullptr;
  for (u32 pass = 0; grad_pass * pass < group_rows * p.groups; pass++) {
    u64 places[S];
    bool there[S];
    F acc[T][S];
    for (u32 i = 0; i < S; i++) {
      const u32 m = group_rows * p.group + grad_pass * pass + L * i;
      there[i] = m < group_rows * (p.group + p.groups);
      places[i] = ((u64)(m / group_rows) * s.columns + column) * group_rows + m % group_rows;
      for (u32 t = 0; t < T; t++) acc[t][i] = before && there[i] ? load(before + places[i] + group_rows * t) : set1(0);
    }
    const float* w = p.packed + (u64)grad_pass * grad_rows * pass;
    const float* x = p.tile;
    for (u32 n = 0; n < p.count; n++, w += grad_pass, x += T) {
      F line[S];
      for (u32 i = 0; i < S; i++) line[i] = load(w + L * i);
      for (u32 t = 0; t < T; t++) {
        const F value = set1(x[t]);
        for (u32 i = 0; i < S; i++) {
          acc[t][i] = fma(line[i], value, acc[t][i]);
          here(acc[t][i]);
        }
      }
    }
    for (u32 i = 0; i < S; i++) {
      if (!there[i]) continue;
      for (u32 t = 0; t < T; t++) store(y + places[i] + group_rows * t, acc[t][i]);
    }
  }
}

template <u32 T> __attribute__((noinline)) void grad_tiles(const GradPiece& p, u32& column) {
  for (; column + T <= p.step.columns; column += T) grad_tile<T>(p, column);
}

static void weight_grad(const Context& c, const void* step) {
  const WeightGradStep& s = *(const WeightGradStep*)step;
  constexpr u32 whole = grad_pass > group_rows ? grad_pass / group_rows : 1;  // groups of a pass
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, share = (groups + c.threads - 1) / c.threads;
  const u32 at_once = least(grad_groups, (share + whole - 1) / whole * whole);
  float* packed = (float*)c.scratch;
  float* tile = packed + grad_groups * group_rows * grad_rows;
  for (u32 unit; c.next((groups + at_once - 1) / at_once, unit);) {
    const u32 group = unit * at_once, count = least(at_once, groups - group);
    for (u32 first = 0; first < s.rows; first += grad_rows) {
      const GradPiece piece = {s, c, packed, tile, group, count, first, least(grad_rows, s.rows - first)};
      pack_cotangents(piece);
      u32 column = 0;
      grad_tiles<grad_columns>(piece, column);
      grad_tiles<2>(piece, column);
      grad_tiles<1>(piece, column);
    }
  }
}

}  // namespace KERNELS
