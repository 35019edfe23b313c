// Selected rows brought together, and plain copies.
#pragma once
#include "common.h"

namespace KERNELS {

static void gather(const Context& c, const void* step) {
  const GatherStep& s = *(const GatherStep*)step;
  const u32* selection = at<const u32>(c, c.run->selection);
  for (u32 n; c.next(s.rows, n);) {
    const float* x = row_at(at<const float>(c, s.x), s.xStride, selection[n]);
    __builtin_memcpy(row_at(at<float>(c, s.y), s.yStride, n), x, 4 * (u64)s.width);
  }
}

static void copy(const Context& c, const void* step) {
  const CopyStep& s = *(const CopyStep*)step;
  constexpr u64 piece = 1 << 18;
  for (u32 n; c.next((u32)((s.bytes + piece - 1) / piece), n);) {
    const u64 first = n * piece, bytes = s.bytes - first < piece ? s.bytes - first : piece;
    __builtin_memcpy(at<u8>(c, s.to) + first, at<const u8>(c, s.from) + first, bytes);
  }
}

}  // namespace KERNELS
