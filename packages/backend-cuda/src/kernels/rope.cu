// Rotates the pairs (2 i, 2 i + 1) of each head. Sines and cosines of the step's rows come from the host, computed in float64.
#include "common.cuh"

KERNEL_FILE("rope")

struct Parameters {
  const float *x;
  float *y;
  /// (cos, sin) for every row and pair of a head.
  const float2 *rotation;
  uint32_t pairs, head_pairs, x_stride, y_stride, rotation_stride;
};
#include "asserts/rope.cuh"

KERNEL(rope, Parameters, 128) {
  const uint32_t i = blockIdx.x * 128 + threadIdx.x;
  if (i >= P.pairs) return;
  const float *x = P.x + (uint64_t)blockIdx.y * P.x_stride + i * 2;
  float *y = P.y + (uint64_t)blockIdx.y * P.y_stride + i * 2;
  const float2 turn = P.rotation[(uint64_t)blockIdx.y * P.rotation_stride + i % P.head_pairs];
  const float a = x[0], b = x[1];
  y[0] = a * turn.x - b * turn.y;
  y[1] = a * turn.y + b * turn.x;
}
