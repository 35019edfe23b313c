// The last rows of sequences, side by side, so that what only they are asked for is computed for them alone.
#include "common.cuh"

KERNEL_FILE("gather_rows")

struct Parameters {
  const float *x;
  float *y;
  const uint32_t *selected;
  uint32_t width, x_stride, y_stride;
};
#include "asserts/gather_rows.cuh"

KERNEL(gather_rows, Parameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k < P.width) P.y[(uint64_t)blockIdx.y * P.y_stride + k] = P.x[(uint64_t)P.selected[blockIdx.y] * P.x_stride + k];
}
