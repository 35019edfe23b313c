// Brings the parts of attention_split.cu together, a block per row and head.
#include "common.cuh"

KERNEL_FILE("attention_combine")

struct Parameters {
  const Row *rows;
  const float *partials;
  float *y;
  uint32_t heads, d, parts, part_keys, y_stride;
};
#include "asserts/attention_combine.cuh"

KERNEL(attention_combine, Parameters, 128) {
  const uint32_t count = P.rows[blockIdx.x].position / P.part_keys + 1;
  const uint64_t line = P.d + 2;
  const float *from = P.partials + ((uint64_t)blockIdx.x * P.heads + blockIdx.y) * P.parts * line;
  float most = -INFINITY, total = 0.0f;
  for (uint32_t part = 0; part < count; part++) most = fmaxf(most, from[part * line + P.d]);
  for (uint32_t part = 0; part < count; part++)
    total += expf(from[part * line + P.d] - most) * from[part * line + P.d + 1];
  for (uint32_t i = threadIdx.x; i < P.d; i += 128) {
    float sum = 0.0f;
    for (uint32_t part = 0; part < count; part++)
      sum = fmaf(expf(from[part * line + P.d] - most), from[part * line + i], sum);
    P.y[(uint64_t)blockIdx.x * P.y_stride + blockIdx.y * P.d + i] = sum / total;
  }
}
