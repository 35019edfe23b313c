// The gradient of an embedding by its table: cotangents are added where their tokens looked up, in the order of rows.
#pragma once
#include "common.h"
#include "format.h"

namespace KERNELS {

static void embedding_grad(const Context& c, const void* step) {
  const EmbeddingGradStep& s = *(const EmbeddingGradStep*)step;
  const Row* rows = at<const Row>(c, c.run->rows);
  const u32 groups = (s.tableRows + group_rows - 1) / group_rows;
  float* y = at<float>(c, s.y);
  const float* residual = s.residual ? at<const float>(c, s.residual) : nullptr;
  for (u32 unit; c.next((s.columns + 15) / 16, unit);) {
    const u32 first = 16 * unit, count = least(16, s.columns - first);
    for (u32 group = 0; group < groups; group++) {
      const u64 place = ((u64)group * s.columns + first) * group_rows;
      if (residual == nullptr) __builtin_memset(y + place, 0, 4 * group_rows * count);
      else if (residual != y) __builtin_memcpy(y + place, residual + place, 4 * group_rows * count);
    }
    for (u32 n = 0; n < s.rows; n++) {
      const u32 token = rows[n].token;
      const float* cotangent = row_at(at<const float>(c, s.cotangent), s.cotangentStride, n) + first;
      float* to = y + ((u64)(token / group_rows) * s.columns + first) * group_rows + token % group_rows;
      for (u32 i = 0; i < count; i++) to[group_rows * i] += cotangent[i];
    }
  }
}

}  // namespace KERNELS
