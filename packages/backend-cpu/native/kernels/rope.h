// Rotation of neighbouring pairs by the cosines and sines that the host wrote for each row, and the write of keys and
// values into the blocks of a sequence.
#pragma once
#include "blocks.h"

namespace KERNELS {

/** y = x rotated: pairs (cos, sin) of a head at `angles`. */
INLINE void rotate(const float* x, const float* angles, u32 width, u32 head_dim, float* y) {
  for (u32 head = 0; head < width; head += head_dim) {
    for (u32 i = 0; i < head_dim; i += 2) {
      const float a = x[head + i], b = x[head + i + 1], cosine = angles[i], sine = angles[i + 1];
      y[head + i] = a * cosine - b * sine;
      y[head + i + 1] = a * sine + b * cosine;
    }
  }
}

INLINE const float* angles_of(const Context& c, u32 row, u32 rotation) {
  return at<const float>(c, c.run->rotations) + 2 * ((u64)c.run->rotationStride * row + rotation);
}

static void rope(const Context& c, const void* step) {
  const RopeStep& s = *(const RopeStep*)step;
  for (u32 n; c.next(s.rows, n);) {
    const float* x = row_at(at<const float>(c, s.x), s.xStride, n);
    rotate(x, angles_of(c, n, s.rotation), s.width, s.headDim, row_at(at<float>(c, s.y), s.yStride, n));
  }
}

INLINE void put(u8* p, u32 format, u64 index, float x) {
  if (format == format_f32) ((float*)p)[index] = x;
  else if (format == format_f16) ((u16*)p)[index] = to_f16(x);
  else ((u16*)p)[index] = to_bf16(x);
}

static void cache(const Context& c, const void* step) {
  const CacheStep& s = *(const CacheStep*)step;
  const u32 width = s.kvHeads * s.headDim;
  for (u32 n; c.next(s.rows, n);) {
    const Row& row = at<const Row>(c, c.run->rows)[n];
    const Sequence& sequence = at<const Sequence>(c, c.run->sequences)[row.sequence];
    const float* k = row_at(at<const float>(c, s.k), s.kStride, n);
    const float* v = row_at(at<const float>(c, s.v), s.vStride, n);
    u8* block = block_of(c, sequence, row.position);
    const u32 place = row.position % block_positions;
    const u64 keys = (u64)block_positions * s.before, values = keys + (u64)block_positions * width;
    float rotated[512];
    for (u32 g = 0; g < s.kvHeads; g++) {
      const float* head = k + g * s.headDim;
      if (s.kRotation != unrotated) {
        rotate(head, angles_of(c, n, s.kRotation), s.headDim, s.headDim, rotated);
        head = rotated;
      }
      for (u32 i = 0; i < s.headDim; i++) {
        put(block, sequence.format, keys + (u64)block_positions * (g * s.headDim + i) + place, head[i]);
        put(block, sequence.format, values + (u64)(block_positions * g + place) * s.headDim + i, v[g * s.headDim + i]);
      }
    }
    if (s.rotatedQ == 0) continue;
    const float* q = row_at(at<const float>(c, s.q), s.qStride, n);
    float* y = row_at(at<float>(c, s.rotatedQ), s.rotatedQStride, n);
    rotate(q, angles_of(c, n, s.qRotation), s.heads * s.headDim, s.headDim, y);
  }
}

}  // namespace KERNELS
