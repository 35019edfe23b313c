// Small products of f32 matrices whose operands lie in the first caches: y [n, columns] (+)= a [n, count] b [count,
// columns]. A sum takes its products in the order of k, by one fused operation each, whatever the number of rows.
#pragma once
#include "common.h"

namespace KERNELS {

struct Product {
  const float* a;
  const float* b;
  u32 b_stride;
  u32 count;
  float* y;
  u32 y_stride;
  /** y is written, not added to. */
  bool begins;
};

template <u32 Rows, u32 Columns, u32 Stride> INLINE void product_tile(const Product& p, u32 row, u32 column) {
  const float* a = p.a + (u64)Stride * row;
  const float* b = p.b + column;
  float* y = p.y + (u64)p.y_stride * row + column;
  F sums[Rows][Columns];
  for (u32 i = 0; i < Rows; i++) {
    for (u32 j = 0; j < Columns; j++) sums[i][j] = p.begins ? set1(0) : load(y + (u64)p.y_stride * i + L * j);
  }
  for (u32 k = 0; k < p.count; k++, b += p.b_stride) {
    F line[Columns];
    for (u32 j = 0; j < Columns; j++) line[j] = load(b + L * j);
    for (u32 i = 0; i < Rows; i++) {
      const F x = set1(a[Stride * i + k]);
      for (u32 j = 0; j < Columns; j++) sums[i][j] = fma(x, line[j], sums[i][j]);
    }
  }
  for (u32 i = 0; i < Rows; i++) {
    for (u32 j = 0; j < Columns; j++) store(y + (u64)p.y_stride * i + L * j, sums[i][j]);
  }
}

/** Registers that hold sums: of 16 that there are in AVX2, and of 32. */
constexpr u32 sum_registers = L == 8 ? 12 : 24;

template <u32 Columns, u32 Stride> static void product_columns(const Product& p, u32 rows, u32 column) {
  constexpr u32 most_rows = sum_registers / Columns > 12 ? 12 : sum_registers / Columns;
  u32 i = 0;
  // 8 rows are twice 4, not 6 and 2: sums of few registers wait for one another.
  for (; i + most_rows <= rows && (most_rows > 8 || rows - i != 8); i += most_rows) {
    product_tile<most_rows, Columns, Stride>(p, i, column);
  }
  if constexpr (most_rows > 8) {
    if (i + 8 <= rows) product_tile<8, Columns, Stride>(p, i, column), i += 8;
  }
  if constexpr (most_rows > 4) {
    for (; i + 4 <= rows; i += 4) product_tile<4, Columns, Stride>(p, i, column);
  }
  if (i + 2 <= rows) product_tile<2, Columns, Stride>(p, i, column), i += 2;
  if (i < rows) product_tile<1, Columns, Stride>(p, i, column);
}

/** columns: a multiple of L; Stride: words from row to row of a. */
template <u32 Stride> static void product(const Product& p, u32 rows, u32 columns) {
  constexpr u32 widest = L == 8 ? 2 : 4;
  u32 j = 0;
  for (; j + widest * L <= columns; j += widest * L) product_columns<widest, Stride>(p, rows, j);
  if constexpr (widest > 2) {
    if (j + 2 * L <= columns) product_columns<2, Stride>(p, rows, j), j += 2 * L;
  }
  if (j < columns) product_columns<1, Stride>(p, rows, j);
}

}  // namespace KERNELS
