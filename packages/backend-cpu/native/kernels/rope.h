// Rotation of neighbouring pairs by the cosines and sines that the host wrote for each row.
#pragma once
#include "common.h"

namespace KERNELS {

/** y = x rotated: pairs (cos, sin) of a head at `angles`; backwards by -1 as the direction. */
INLINE void rotate(const float* x, const float* angles, u32 width, u32 head_dim, float* y, float direction = 1) {
  for (u32 head = 0; head < width; head += head_dim) {
    for (u32 i = 0; i < head_dim; i += 2) {
      const float a = x[head + i], b = x[head + i + 1], cosine = angles[i], sine = direction * angles[i + 1];
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
    float* y = row_at(at<float>(c, s.y), s.yStride, n);
    rotate(x, angles_of(c, n, s.rotation), s.width, s.headDim, y, s.backwards ? -1.0f : 1.0f);
  }
}

}  // namespace KERNELS
