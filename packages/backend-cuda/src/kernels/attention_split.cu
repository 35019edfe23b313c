// Attention of single rows behind many keys: a block per row, up to four heads that share keys, and part of 256 keys, so
// that one sequence keeps the whole card busy. Bound by how fast the cache is read, so nothing stands between: a key's columns are
// spread over the lanes of a warp (or half a warp), which have the queries' alike, and each warp goes through keys of its own by
// online softmax (Milakov and Gimelshein, arXiv 1805.02867), four keys and their values on the way at a time and no barrier before the
// end. What 16 warps of a multiprocessor have on the way is 32 KiB, three times what the memory of an H100 needs to be busy.
//
// Writes sums that attention_combine.cu brings together: y is [rows, heads, parts, d + 2], the largest score and the sum of weights
// last. Parts behind the row's position are left out; a row's parts, and the keys of a warp, depend on its position alone.
#include "attention.cuh"

KERNEL_FILE("attention_split")

constexpr uint32_t part_keys = 256;

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
#include "asserts/attention_split.cuh"

constexpr int threads = 128;
constexpr int ahead = 4;

#ifdef __CUDACC__
#define MEMBER __device__ __forceinline__
#else
#define MEMBER
#endif

/// Four columns of a key or value on their way, as they are stored.
template <class Bits> struct Columns {
  Bits bits;
  MEMBER void load(const uint8_t *line, uint32_t, uint32_t k, uint32_t d, bool present) {
    bits = four_bits<Bits>(line, k, present && k < d);
  }
  MEMBER float4 values(uint32_t format) const { return four_values(bits, format); }
};
/// Where four do not divide d, column by column.
struct Ones {
  float4 v;
  MEMBER void load(const uint8_t *line, uint32_t format, uint32_t k, uint32_t d, bool present) {
    const uint32_t end = present ? d : 0;
    v = make_float4(one(line, format, k, end), one(line, format, k + 1, end), one(line, format, k + 2, end), one(line, format, k + 3, end));
  }
  MEMBER float4 values(uint32_t) const { return v; }
};

/// LANES have a key's columns, four each, or QUADS times four; a block has HEADS heads at most.
template <class Stored, int LANES, int QUADS, int HEADS>
DEVICE void attend(const Parameters &P, const Row &row, float *sums, float *most_of, float *total_of) {
  constexpr int TEAMS = threads / LANES;
  constexpr int WIDTH = LANES * QUADS * 4;
  const uint32_t d = P.d, t = threadIdx.x, lane = t % LANES, team = t / LANES;
  const uint32_t begin = blockIdx.z * part_keys;
  const uint32_t length = row.position + 1;
  if (begin >= length) return;
  const uint32_t end = min(length, begin + part_keys);
  const uint32_t group = P.heads / P.kv_heads, groups = (group + HEADS - 1) / HEADS;
  const uint32_t kv_head = blockIdx.y / groups, head = kv_head * group + blockIdx.y % groups * HEADS;
  const int count = min((uint32_t)HEADS, (kv_head + 1) * group - head);
  const CacheLines lines = cache_lines(row, P.before, kv_head, P.kv_heads, d);

  float4 query[HEADS][QUADS], sum[HEADS][QUADS];
  float most[HEADS], total[HEADS];
#pragma unroll
  for (int h = 0; h < HEADS; h++) {
    most[h] = -INFINITY;
    total[h] = 0.0f;
    const float *q = P.q + (uint64_t)blockIdx.x * P.q_stride + (head + min(h, count - 1)) * d;
#pragma unroll
    for (int c = 0; c < QUADS; c++) {
      const uint32_t k = (c * LANES + lane) * 4;
      const float4 v = make_float4(k < d ? q[k] : 0.0f, k + 1 < d ? q[k + 1] : 0.0f, k + 2 < d ? q[k + 2] : 0.0f, k + 3 < d ? q[k + 3] : 0.0f);
      query[h][c] = make_float4(v.x * P.scale, v.y * P.scale, v.z * P.scale, v.w * P.scale);
      sum[h][c] = make_float4(0, 0, 0, 0);
    }
  }

#pragma unroll 1
  for (uint32_t first = begin; first < end; first += TEAMS * ahead) {
    Stored key[ahead][QUADS], value[ahead][QUADS];
    bool present[ahead];
#pragma unroll
    for (int u = 0; u < ahead; u++) {
      const uint32_t n = first + u * TEAMS + team;
      present[u] = n < end;
      const uint8_t *line = cache_line(lines, present[u] ? n : begin);
#pragma unroll
      for (int c = 0; c < QUADS; c++) {
        const uint32_t k = (c * LANES + lane) * 4;
        key[u][c].load(line, lines.format, k, d, present[u]);
        value[u][c].load(line + lines.values, lines.format, k, d, present[u]);
      }
    }
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      if (h >= count) continue;
      float score[ahead], largest = most[h];
#pragma unroll
      for (int u = 0; u < ahead; u++) {
        score[u] = 0.0f;
#pragma unroll
        for (int c = 0; c < QUADS; c++) score[u] = dot4(query[h][c], key[u][c].values(lines.format), score[u]);
#pragma unroll
        for (int far = LANES / 2; far > 0; far >>= 1) score[u] += __shfl_xor_sync(allLanes, score[u], far);
        if (present[u]) largest = fmaxf(largest, score[u]);
      }
      // A team that has seen no key has nothing to rescale.
      const float factor = most[h] == -INFINITY ? 0.0f : expf(most[h] - largest);
      most[h] = largest;
      total[h] *= factor;
#pragma unroll
      for (int c = 0; c < QUADS; c++) {
        float4 &s = sum[h][c];
        s = make_float4(s.x * factor, s.y * factor, s.z * factor, s.w * factor);
      }
#pragma unroll
      for (int u = 0; u < ahead; u++) {
        const float weight = present[u] ? expf(score[u] - largest) : 0.0f;
        total[h] += weight;
#pragma unroll
        for (int c = 0; c < QUADS; c++) {
          float4 &s = sum[h][c];
          const float4 v = value[u][c].values(lines.format);
          s = make_float4(fmaf(weight, v.x, s.x), fmaf(weight, v.y, s.y), fmaf(weight, v.z, s.z), fmaf(weight, v.w, s.w));
        }
      }
    }
  }

#pragma unroll
  for (int h = 0; h < HEADS; h++) {
    if (lane == 0) {
      most_of[team * HEADS + h] = most[h];
      total_of[team * HEADS + h] = total[h];
    }
#pragma unroll
    for (int c = 0; c < QUADS; c++)
      *reinterpret_cast<float4 *>(sums + (team * HEADS + h) * WIDTH + (c * LANES + lane) * 4) = sum[h][c];
  }
  __syncthreads();
#pragma unroll 1
  for (int h = 0; h < count; h++) {
    float largest = -INFINITY, all = 0.0f, factor[TEAMS];
#pragma unroll
    for (int i = 0; i < TEAMS; i++) largest = fmaxf(largest, most_of[i * HEADS + h]);
#pragma unroll
    for (int i = 0; i < TEAMS; i++) {
      factor[i] = expf(most_of[i * HEADS + h] - largest);
      all = fmaf(factor[i], total_of[i * HEADS + h], all);
    }
    float *y = P.y + (((uint64_t)blockIdx.x * P.heads + head + h) * P.parts + blockIdx.z) * (d + 2);
    for (uint32_t k = t; k < d; k += threads) {
      float s = 0.0f;
#pragma unroll
      for (int i = 0; i < TEAMS; i++) s = fmaf(factor[i], sums[(i * HEADS + h) * WIDTH + k], s);
      y[k] = s;
    }
    if (t == 0) {
      y[d] = largest;
      y[d + 1] = all;
    }
  }
}

template <int LANES, int QUADS, int HEADS> DEVICE void attention(const Parameters &P, bool by_fours) {
  constexpr int TEAMS = threads / LANES;
  SHARED(float, sums, TEAMS *HEADS *LANES *QUADS * 4);
  SHARED(float, most_of, TEAMS *HEADS);
  SHARED(float, total_of, TEAMS *HEADS);
  const Row row = P.rows[blockIdx.x];
  if (!by_fours) attend<Ones, LANES, QUADS, HEADS>(P, row, sums, most_of, total_of);
  else if (row.format == 0) attend<Columns<float4>, LANES, QUADS, HEADS>(P, row, sums, most_of, total_of);
  else attend<Columns<uint2>, LANES, QUADS, HEADS>(P, row, sums, most_of, total_of);
}

// Heads up to 64, 128 and 256 of a multiple of four, for groups of one head and of more; and for the rest.
KERNEL(attention_split_64_1, Parameters, threads, 4) { attention<16, 1, 1>(P, true); }
KERNEL(attention_split_128_1, Parameters, threads, 4) { attention<32, 1, 1>(P, true); }
KERNEL(attention_split_256_1, Parameters, threads, 4) { attention<32, 2, 1>(P, true); }
KERNEL(attention_split_64_4, Parameters, threads, 3) { attention<16, 1, 4>(P, true); }
KERNEL(attention_split_128_4, Parameters, threads, 3) { attention<32, 1, 4>(P, true); }
KERNEL(attention_split_256_4, Parameters, threads, 3) { attention<32, 2, 4>(P, true); }
KERNEL(attention_split_any, Parameters, threads, 3) { attention<32, 2, 1>(P, false); }
