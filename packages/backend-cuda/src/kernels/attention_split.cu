// Attention of single rows behind many keys: a block per row, group of up to eight heads that share keys, and part of 256 keys, so
// that one sequence keeps the whole card busy. By online softmax (Milakov and Gimelshein, arXiv 1805.02867), 32 keys at a time, which
// come to shared memory once for all heads of the group. Bound by how fast the cache is read: little shared memory leaves room for
// many blocks, and while some wait for keys, others compute.
//
// Writes sums that attention_combine.cu brings together: y is [rows, heads, parts, d + 2], the largest score and the sum of weights
// last. Parts behind the row's position are left out; a row's parts depend on its position alone.
#include "attention.cuh"

KERNEL_FILE("attention_split")

struct Parameters {
  const Row *rows;
  const float *q;
  float *y;
  /// Elements per position that lie before this attention's keys.
  uint32_t before;
  uint32_t heads, kv_heads, d;
  uint32_t q_stride;
  /// Most parts that a row's keys have.
  uint32_t parts;
  float scale;
};

constexpr int threads = 128;
constexpr int most_heads = 8;
constexpr int keys = 32;
constexpr uint32_t part_keys = 256;

/// `present` lines into a tile of odd pitch, so that lanes that read a column meet different banks.
template <int WIDTH> DEVICE void stage(float *tile, const uint8_t *lines, uint32_t bytes, uint32_t format, uint32_t present, uint32_t d) {
  if (d % 4 != 0) {
    for (uint32_t i = threadIdx.x; i < present * d; i += threads)
      tile[i / d * (WIDTH + 1) + i % d] = one(lines + i / d * bytes, format, i % d, d);
    return;
  }
  const uint32_t quads = d / 4;
#pragma unroll 4
  for (uint32_t i = threadIdx.x; i < present * quads; i += threads) {
    const uint32_t n = i / quads, k = i % quads * 4;
    const float4 v = four(lines + n * bytes, format, k, d);
    float *to = tile + n * (WIDTH + 1) + k;
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
  }
}

template <int WIDTH> DEVICE void attention(const Parameters &P) {
  constexpr int COLUMNS = (WIDTH + threads - 1) / threads; // of a thread
  SHARED(float, tile, keys *(WIDTH + 1));
  SHARED(float, queries, most_heads *WIDTH);
  SHARED(float, weights, most_heads *keys);
  SHARED(float, factors, most_heads);
  const uint32_t d = P.d, t = threadIdx.x, lane = t & 31, warp = t >> 5;
  const Row row = P.rows[blockIdx.x];
  const uint32_t begin = blockIdx.z * part_keys;
  const uint32_t length = row.position + 1;
  if (begin >= length) return;
  const uint32_t end = min(length, begin + part_keys);
  const uint32_t group = P.heads / P.kv_heads, groups = (group + most_heads - 1) / most_heads;
  const uint32_t kv_head = blockIdx.y / groups, head = kv_head * group + blockIdx.y % groups * most_heads;
  const int count = min((uint32_t)most_heads, (kv_head + 1) * group - head);
  const CacheLines lines = cache_lines(row, P.before, kv_head, P.kv_heads, d);

  const float *q = P.q + (uint64_t)blockIdx.x * P.q_stride + head * d;
  for (uint32_t i = t; i < count * d; i += threads) queries[i] = q[i] * P.scale;
  // Of heads warp and warp + 4, alike in all lanes; and of each head the columns t and t + 128.
  float most[most_heads / 4], total[most_heads / 4], sum[COLUMNS][most_heads];
#pragma unroll
  for (int h = 0; h < most_heads; h++) {
    most[h / 4] = -INFINITY;
    total[h / 4] = 0.0f;
#pragma unroll
    for (int side = 0; side < COLUMNS; side++) sum[side][h] = 0.0f;
  }

#pragma unroll 1
  for (uint32_t first = begin; first < end; first += keys) {
    const uint32_t present = min((uint32_t)keys, end - first);
    const uint8_t *part = lines.keys + (uint64_t)first * lines.bytes;
    __syncthreads();
    stage<WIDTH>(tile, part, lines.bytes, lines.format, present, d);
    __syncthreads();
    // Eight keys a warp, and four lanes a key, which have every fourth column.
    const uint32_t key = warp * 8 + (lane >> 2);
#pragma unroll 1
    for (int h = 0; h < count; h++) {
      float score = 0.0f;
      if (key < present)
        for (uint32_t i = lane & 3; i < d; i += 4) score = fmaf(queries[h * d + i], tile[key * (WIDTH + 1) + i], score);
      score += __shfl_xor_sync(allLanes, score, 1);
      score += __shfl_xor_sync(allLanes, score, 2);
      if ((lane & 3) == 0) weights[h * keys + key] = score;
    }
    __syncthreads();
    // A head a warp, and a key a lane.
#pragma unroll
    for (int j = 0; j < most_heads / 4; j++) {
      const int h = j * 4 + warp;
      if (h >= count) continue;
      const float score = lane < present ? weights[h * keys + lane] : -INFINITY;
      const float largest = fmaxf(most[j], warp_max(score));
      const float factor = expf(most[j] - largest);
      const float weight = expf(score - largest);
      total[j] = total[j] * factor + warp_sum(weight);
      most[j] = largest;
      weights[h * keys + lane] = weight;
      if (lane == 0) factors[h] = factor;
    }
    stage<WIDTH>(tile, part + lines.values, lines.bytes, lines.format, present, d);
    __syncthreads();
#pragma unroll
    for (int side = 0; side < COLUMNS; side++) {
      const uint32_t i = t + side * threads;
      if (i >= d) continue;
#pragma unroll
      for (int h = 0; h < most_heads; h++) {
        if (h >= count) continue;
        float s = sum[side][h] * factors[h];
        for (uint32_t n = 0; n < present; n++) s = fmaf(weights[h * keys + n], tile[n * (WIDTH + 1) + i], s);
        sum[side][h] = s;
      }
    }
  }

  const uint64_t line = d + 2;
  float *y = P.y + (((uint64_t)blockIdx.x * P.heads + head) * P.parts + blockIdx.z) * line;
#pragma unroll
  for (int j = 0; j < most_heads / 4; j++) {
    const int h = j * 4 + warp;
    if (h >= count || lane != 0) continue;
    y[h * P.parts * line + d] = most[j];
    y[h * P.parts * line + d + 1] = total[j];
  }
#pragma unroll
  for (int side = 0; side < COLUMNS; side++) {
    const uint32_t i = t + side * threads;
    if (i >= d) continue;
#pragma unroll
    for (int h = 0; h < most_heads; h++)
      if (h < count) y[h * P.parts * line + i] = sum[side][h];
  }
}

KERNEL(attention_split_64, Parameters, threads) { attention<64>(P); }
KERNEL(attention_split_128, Parameters, threads) { attention<128>(P); }
KERNEL(attention_split_256, Parameters, threads) { attention<256>(P); }
