// y = x W^T + residual in f32: of float weights, and of quantized ones whose input is not rounded. Columns are summed in
// their order, each row by itself, whatever else is computed with it.
#pragma once
#include "linear_int8.h"
#include "values.h"

namespace KERNELS {

/** Columns [columns, 16] in f32, and N rows from `first` on. */
template <class Format, u32 N>
INLINE void f32_rows(const LinearStep& s, const Context& c, const u8* w, u32 group, u32 first) {
  const float* x[N];
  F acc[N][slices];
  for (u32 n = 0; n < N; n++) {
    x[n] = row_at(at<const float>(c, s.x), s.xStride, first + n);
    for (u32 i = 0; i < slices; i++) acc[n][i] = set1(0);
  }
  for (u32 k = 0; k < s.columns; k++, w += Format::bytes) {
    F column[slices];
    for (u32 i = 0; i < slices; i++) column[i] = Format::value(w, i);
    for (u32 n = 0; n < N; n++) {
      for (u32 i = 0; i < slices; i++) acc[n][i] = fma(column[i], set1(x[n][k]), acc[n][i]);
    }
  }
  for (u32 n = 0; n < N; n++) {
    for (u32 i = 0; i < slices; i++) {
      const u32 row = group_rows * group + L * i;
      if (row < s.matrixRows) finish(s, c, first + n, row, acc[n][i]);
    }
  }
}

template <class Format> INLINE void f32_group(const LinearStep& s, const Context& c, const u8* w, u32 group) {
  u32 n = 0;
  for (; n + 8 <= s.rows; n += 8) f32_rows<Format, 8>(s, c, w, group, n);
  for (; n + 2 <= s.rows; n += 2) f32_rows<Format, 2>(s, c, w, group, n);
  if (n < s.rows) f32_rows<Format, 1>(s, c, w, group, n);
}

template <class Format> void linear_f32(const LinearStep& s, const Context& c) {
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, blocks = s.columns / Format::columns;
  const u32 at_once = s.rows > few ? 1 : most(1, 131072 / (blocks * Format::bytes));
  for (u32 unit; c.next((groups + at_once - 1) / at_once, unit);) {
    for (u32 group = unit * at_once; group < least(groups, (unit + 1) * at_once); group++) {
      const u64 index = s.firstRow / group_rows + group;
      const u8* w = at<const u8>(c, s.weights) + index * blocks * Format::bytes;
      if constexpr (Format::columns == 1) {
        if (s.rows <= few || Format::bytes == F32::bytes) {
          f32_group<Format>(s, c, w, group);
          continue;
        }
      }
      group_values<Format>(w, blocks, (float*)c.scratch);
      f32_group<F32>(s, c, c.scratch, group);
    }
  }
}

}  // namespace KERNELS
