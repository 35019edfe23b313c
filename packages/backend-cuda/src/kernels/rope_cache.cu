// Appends keys and values to the KV blocks of their sequences, keys rotated where a rotation is given, and rotates the queries: one
// launch for what stands between the projections and attention. A thread per pair of a row; queries first, then keys, then values.
#include "common.cuh"

KERNEL_FILE("rope_cache")

struct Parameters {
  const Row *rows;
  const float *q;
  const float *k;
  const float *v;
  /// Rotated queries, or null.
  float *rotated;
  const float2 *q_rotation;
  /// Rotation of keys, or null.
  const float2 *k_rotation;
  /// Elements per position that lie before this attention's keys.
  uint32_t before;
  uint32_t q_pairs, kv_pairs, head_pairs;
  uint32_t q_stride, k_stride, v_stride, rotated_stride, rotation_stride;
};
#include "asserts/rope_cache.cuh"

DEVICE float2 turned(const float *x, const float2 *rotation, uint32_t at) {
  const float a = x[0], b = x[1];
  if (rotation == nullptr) return make_float2(a, b);
  const float2 turn = rotation[at];
  return make_float2(a * turn.x - b * turn.y, a * turn.y + b * turn.x);
}

DEVICE void store(uint8_t *base, uint32_t format, uint64_t element, float2 v) {
  if (format == 0) *reinterpret_cast<float2 *>(base + element * 4) = v;
  else if (format == 1) *reinterpret_cast<uint32_t *>(base + element * 2) = half_bits(v.x) | (half_bits(v.y) << 16);
  else *reinterpret_cast<uint32_t *>(base + element * 2) = bfloat_bits(v.x) | (bfloat_bits(v.y) << 16);
}

KERNEL(rope_cache, Parameters, 128) {
  uint32_t i = blockIdx.x * 128 + threadIdx.x;
  const uint32_t n = blockIdx.y;
  const uint32_t q_pairs = P.rotated != nullptr ? P.q_pairs : 0;
  if (i < q_pairs) {
    const uint64_t at = (uint64_t)n * P.rotation_stride + i % P.head_pairs;
    *reinterpret_cast<float2 *>(P.rotated + (uint64_t)n * P.rotated_stride + i * 2) =
        turned(P.q + (uint64_t)n * P.q_stride + i * 2, P.q_rotation, at);
    return;
  }
  i -= q_pairs;
  const bool is_key = i < P.kv_pairs;
  if (!is_key) i -= P.kv_pairs;
  if (i >= P.kv_pairs) return;
  const Row row = P.rows[n];
  // Of the block keys [G, kv_block_rows, d], then values alike.
  const uint32_t head = i / P.head_pairs, pair = i % P.head_pairs, heads = P.kv_pairs / P.head_pairs;
  const uint32_t line = (is_key ? head : heads + head) * kv_block_rows + row.position % kv_block_rows;
  const uint64_t element = (uint64_t)P.before * kv_block_rows + (uint64_t)line * P.head_pairs * 2 + pair * 2;
  uint8_t *block = row.pool + (uint64_t)row.table[row.position / kv_block_rows] * row.block_bytes;
  const float *from = is_key ? P.k + (uint64_t)n * P.k_stride : P.v + (uint64_t)n * P.v_stride;
  store(block, row.format, element,
        turned(from + i * 2, is_key ? P.k_rotation : nullptr, (uint64_t)n * P.rotation_stride + pair));
}
