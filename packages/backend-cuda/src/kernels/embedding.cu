// Rows of a table in any format, as f32: a thread per unit of 32 values.
#define CONTIGUOUS
#include "format.cuh"

KERNEL_FILE("embedding_" FORMAT_NAME)

struct Parameters {
  Weights W;
  const Row *rows;
  float *y;
  uint32_t K, pitch, y_stride;
};
#include "asserts/embedding.cuh"

KERNEL(embedding, Parameters, 128) {
  const uint32_t u = blockIdx.x * 128 + threadIdx.x;
  if (u >= unit_count(P.K)) return;
  Unit unit;
  load_unit(P.W, P.rows[blockIdx.y].token, P.pitch, u, unit);
  float *row = P.y + (uint64_t)blockIdx.y * P.y_stride;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const uint32_t k = quad_column(u, i);
    const float s = unit_scale(unit, i >> 2);
    const float4 v = quad(unit, i);
    if (k < P.K) row[k] = v.x * s;
    if (k + 1 < P.K) row[k + 1] = v.y * s;
    if (k + 2 < P.K) row[k + 2] = v.z * s;
    if (k + 3 < P.K) row[k + 3] = v.w * s;
  }
}
