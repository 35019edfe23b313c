// Attention of one row over a range of its keys, for up to eight query heads that share keys, by online softmax
// (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135): 32 keys at a time come to shared memory, a warp per
// head weighs them, and the weighted values are summed in registers.
#pragma once
#include "common.cuh"

struct Parameters {
  const Row *rows;
  const float *q;
  float *y;
  /// Elements per position that lie before this attention's keys.
  uint32_t before;
  uint32_t heads, kv_heads, d;
  uint32_t q_stride, y_stride;
  /// Most parts that a row's keys have (split only).
  uint32_t parts;
  float scale;
};

constexpr int threads = 128;
constexpr int most_heads = 8;
constexpr int most_width = 256;
constexpr int keys = 32;
/// Keys of a part; a row's parts depend on its position alone.
constexpr uint32_t part_keys = 256;

template <int FORMAT> DEVICE float cached(const uint8_t *base, uint64_t element) {
  if (FORMAT == 0) return *reinterpret_cast<const float *>(base + element * 4);
  const uint32_t bits = *reinterpret_cast<const uint16_t *>(base + element * 2);
  return FORMAT == 1 ? half_value(bits) : bfloat_value(bits);
}

/// What a block has summed: per head the largest score, the sum of weights, and in `sum` the weighted values that this
/// thread is responsible for, columns threadIdx.x and threadIdx.x + 128 of each head.
struct Sums {
  float most[most_heads], total[most_heads];
  float sum[2][most_heads];
};

template <int FORMAT>
DEVICE void attend(const Parameters &P, const Row &row, const float *q, uint32_t kv_head, int count, uint32_t begin, uint32_t end,
                   float *tile, float *queries, float *weights, float *factors, Sums &sums) {
  const uint32_t d = P.d, stride = d + 1;
  const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  const uint64_t key_lines = (uint64_t)P.before * row.capacity + (uint64_t)kv_head * row.capacity * d;
  const uint64_t value_lines = key_lines + (uint64_t)P.kv_heads * row.capacity * d;
  for (uint32_t i = t; i < count * d; i += threads) queries[i] = q[i] * P.scale;
#pragma unroll
  for (int h = 0; h < most_heads; h++) {
    sums.most[h] = -INFINITY;
    sums.total[h] = 0.0f;
    sums.sum[0][h] = sums.sum[1][h] = 0.0f;
  }

  for (uint32_t first = begin; first < end; first += keys) {
    const uint32_t present = min((uint32_t)keys, end - first);
    __syncthreads();
    for (uint32_t i = t; i < present * d; i += threads)
      tile[i / d * stride + i % d] = cached<FORMAT>(row.cache, key_lines + (uint64_t)first * d + i);
    __syncthreads();
    // A warp per head, a lane per key.
#pragma unroll
    for (int j = 0; j < most_heads / 4; j++) {
      const int h = j * 4 + warp;
      if (h >= count) continue;
      float score = -INFINITY;
      if (lane < present) {
        score = 0.0f;
        for (uint32_t i = 0; i < d; i++) score = fmaf(queries[h * d + i], tile[lane * stride + i], score);
      }
      const float most = fmaxf(sums.most[j], warp_max(score));
      const float factor = expf(sums.most[j] - most);
      const float weight = lane < present ? expf(score - most) : 0.0f;
      sums.total[j] = sums.total[j] * factor + warp_sum(weight);
      sums.most[j] = most;
      weights[h * keys + lane] = weight;
      if (lane == 0) factors[h] = factor;
    }
    __syncthreads();
    for (uint32_t i = t; i < present * d; i += threads)
      tile[i / d * stride + i % d] = cached<FORMAT>(row.cache, value_lines + (uint64_t)first * d + i);
    __syncthreads();
#pragma unroll
    for (int side = 0; side < 2; side++) {
      const uint32_t i = t + side * threads;
      if (i >= d) continue;
#pragma unroll
      for (int h = 0; h < most_heads; h++) {
        if (h >= count) continue;
        float sum = sums.sum[side][h] * factors[h];
        for (uint32_t key = 0; key < present; key++) sum = fmaf(weights[h * keys + key], tile[key * stride + i], sum);
        sums.sum[side][h] = sum;
      }
    }
  }
}

/// Runs `attend` for the block's row and heads: blockIdx.x the row, blockIdx.y a group of heads.
#define ATTENTION_BLOCK(begin, end)                                                                                      \
  SHARED(float, tile, keys *(most_width + 1));                                                                           \
  SHARED(float, queries, most_heads *most_width);                                                                        \
  SHARED(float, weights, most_heads *keys);                                                                              \
  SHARED(float, factors, most_heads);                                                                                    \
  const Row row = P.rows[blockIdx.x];                                                                                    \
  const uint32_t group = P.heads / P.kv_heads, groups = (group + most_heads - 1) / most_heads;                           \
  const uint32_t kv_head = blockIdx.y / groups, head = kv_head * group + blockIdx.y % groups * most_heads;               \
  const int count = min((uint32_t)most_heads, (kv_head + 1) * group - head);                                             \
  const float *q = P.q + (uint64_t)blockIdx.x * P.q_stride + head * P.d;                                                 \
  Sums sums;                                                                                                             \
  if (row.format == 0) attend<0>(P, row, q, kv_head, count, begin, end, tile, queries, weights, factors, sums);          \
  else if (row.format == 1) attend<1>(P, row, q, kv_head, count, begin, end, tile, queries, weights, factors, sums);     \
  else attend<2>(P, row, q, kv_head, count, begin, end, tile, queries, weights, factors, sums);
