// y = table[tokens]: of a group's blocks the one row.
#pragma once
#include "common.h"
#include "values.h"

namespace KERNELS {

template <class Format> INLINE void embed(const Context& c, const EmbeddingStep& s) {
  constexpr u32 at_once = Format::columns == 1 ? 32 : 1;  // blocks
  const u32 blocks = s.columns / Format::columns;
  for (u32 n; c.next(s.rows, n);) {
    const u32 row = s.firstRow + at<const Row>(c, c.run->rows)[n].token;
    const u8* w = at<const u8>(c, s.table) + (u64)(row / group_rows) * blocks * Format::bytes;
    float* y = row_at(at<float>(c, s.y), s.yStride, n);
    for (u32 b = 0; b < blocks; b += at_once) {
      float values[256 * group_rows];
      const u32 count = least(at_once, blocks - b);
      group_values<Format>(w + (u64)b * Format::bytes, count, values);
      float* to = y + b * Format::columns;
      for (u32 i = 0; i < count * Format::columns; i++) to[i] = values[group_rows * i + row % group_rows];
    }
  }
}

}  // namespace KERNELS
