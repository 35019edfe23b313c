// Small products of f32 matrices in a thread's own memory, whose left operand may be read by columns: y [rows, columns]
// (+)= a b. A sum takes its products in the order of k, by one fused operation each.
#pragma once
#include "common.h"

namespace KERNELS {

struct Dense {
  const float* a;
  /** Words from row to row of a, and from column to column. */
  u32 a_row, a_column;
  const float* b;
  u32 b_stride;
  /** Columns of a, rows of b. */
  u32 count;
  float* y;
  u32 y_stride;
  /** y is written, not added to. */
  bool begins;
};

template <u32 Rows, u32 Columns> INLINE void dense_tile(const Dense& p, u32 row, u32 column) {
  const float* a = p.a + (u64)p.a_row * row;
  const float* b = p.b + column;
  float* y = p.y + (u64)p.y_stride * row + column;
  F sums[Rows][Columns];
  for (u32 i = 0; i < Rows; i++) {
    for (u32 j = 0; j < Columns; j++) sums[i][j] = p.begins ? set1(0) : load(y + (u64)p.y_stride * i + L * j);
  }
  for (u32 k = 0; k < p.count; k++, a += p.a_column, b += p.b_stride) {
    F line[Columns];
    for (u32 j = 0; j < Columns; j++) line[j] = load(b + L * j);
    for (u32 i = 0; i < Rows; i++) {
      const F x = set1(a[(u64)p.a_row * i]);
      for (u32 j = 0; j < Columns; j++) sums[i][j] = fma(x, line[j], sums[i][j]);
    }
  }
  for (u32 i = 0; i < Rows; i++) {
    for (u32 j = 0; j < Columns; j++) store(y + (u64)p.y_stride * i + L * j, sums[i][j]);
  }
}

template <u32 Columns> static void dense_columns(const Dense& p, u32 rows, u32 column) {
  constexpr u32 at_once = L == 16 ? 8 : L == 8 ? 6 : 4;
  u32 i = 0;
  for (; i + at_once <= rows; i += at_once) dense_tile<at_once, Columns>(p, i, column);
  for (; i + 2 <= rows; i += 2) dense_tile<2, Columns>(p, i, column);
  if (i < rows) dense_tile<1, Columns>(p, i, column);
}

/** columns: a multiple of L. */
static __attribute__((noinline)) void dense(const Dense& p, u32 rows, u32 columns) {
  u32 j = 0;
  for (; j + 2 * L <= columns; j += 2 * L) dense_columns<2>(p, rows, j);
  if (j < columns) dense_columns<1>(p, rows, j);
}

}  // namespace KERNELS
