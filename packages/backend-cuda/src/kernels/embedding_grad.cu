// The gradient of an embedding by its table. Rows with the same token are linked first; then the first of them adds the cotangents of all
// to the token's row of the table, in their order: no atomics, and the same bits each time. The table is zero, or has what is added to, before.
#include "common.cuh"

KERNEL_FILE("embedding_grad")

/// Of a row: 1 where it is the first with its token; the next row with that token, or the number of rows.
struct LinkParameters {
  const Row *rows;
  uint2 *links;
  uint32_t count;
};

struct Parameters {
  const Row *rows;
  const uint2 *links;
  const float *cotangent;
  float *y;
  uint32_t count, table_rows, width, cotangent_stride, y_stride;
};
#include "asserts/embedding_grad.cuh"

KERNEL(token_links, LinkParameters, 128) {
  const uint32_t n = blockIdx.x * 128 + threadIdx.x;
  if (n >= P.count) return;
  const uint32_t token = P.rows[n].token;
  uint32_t before = 0, next = n + 1;
  while (before < n && P.rows[before].token != token) before++;
  while (next < P.count && P.rows[next].token != token) next++;
  P.links[n] = make_uint2(before == n ? 1u : 0u, next);
}

KERNEL(embedding_grad, Parameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  const uint32_t token = P.rows[blockIdx.y].token;
  if (k >= P.width || P.links[blockIdx.y].x == 0 || token >= P.table_rows) return;
  float *y = P.y + (uint64_t)token * P.y_stride + k;
  float sum = *y;
  for (uint32_t n = blockIdx.y; n < P.count; n = P.links[n].y) sum += P.cotangent[(uint64_t)n * P.cotangent_stride + k];
  *y = sum;
}
