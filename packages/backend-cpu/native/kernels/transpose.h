// Weights of any format as their transpose in f32, so that a product with them is a linear like any other.
#pragma once
#include "values.h"

namespace KERNELS {

template <class Format> INLINE void transpose_groups(const Context& c, const TransposeStep& s) {
  constexpr u32 width = most(128, Format::columns);
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, pieces = (s.columns + width - 1) / width;
  const u64 group_bytes = (u64)(s.columns / Format::columns) * Format::bytes;
  const u8* weights = at<const u8>(c, s.weights) + s.firstRow / group_rows * group_bytes;
  float* values = (float*)c.scratch;  // [width, 16]
  for (u32 unit; c.next(groups * pieces, unit);) {
    const u32 group = unit / pieces, first = unit % pieces * width, count = least(width, s.columns - first);
    const u8* w = weights + group * group_bytes + (u64)(first / Format::columns) * Format::bytes;
    group_values<Format>(w, count / Format::columns, values);
    const u32 rows = least(group_rows, s.matrixRows - group_rows * group);
    for (u32 column = 0; column < count; column += group_rows) {
      const u32 filled = least(group_rows, count - column);
      const u64 line = (u64)(first + column) / group_rows * s.matrixRows + group_rows * group;
      float* y = at<float>(c, s.y) + line * group_rows;
      for (u32 r = 0; r < rows; r++, y += group_rows) {
        for (u32 i = 0; i < filled; i++) y[i] = values[group_rows * (column + i) + r];
        for (u32 i = filled; i < group_rows; i++) y[i] = 0;
      }
    }
  }
}

}  // namespace KERNELS
