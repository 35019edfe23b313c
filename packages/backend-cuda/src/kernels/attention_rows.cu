// Attention of prompts, in tiles: a block takes up to 64 queries (rows of a step times the query heads of one key/value head)
// through tiles of 64 keys and values, by online softmax (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135).
// Keys and values come from the cache once per block instead of once per row and head, and scores never leave the block.
//
// A row's result is the same whatever rows are beside it: tiles of keys begin at multiples of 64, and a tile of which a row may see
// nothing changes no bit of its sums. So rows of several sequences may meet in a block; it takes the sequences one after another.
//
// All arithmetic is in f32 on the ordinary units, 16 products of each thread for 8 loads of 16 bytes from shared memory. The cost: a
// prompt of n tokens takes 2 n^2 heads d operations a layer here, 1.1e12 of a 7B at n = 2048 beside 27e12 in the matrix products,
// but a card has a tenth of the speed for these or less, so that at that length attention takes about as long as all else together.
// attention_mma.cu does it on tensor cores where the cache is in f16.
#include "attention_tiles.cuh"

KERNEL_FILE("attention_rows")

constexpr int threads = 256;
constexpr int lines = 64; // a line: the query of one row and head
constexpr int keys = 64; // two KV blocks
static_assert(keys == 2 * kv_block_rows, "a tile of keys lies in two KV blocks");
constexpr int depth = 32; // columns of queries and keys that are staged at once
constexpr int width = 64; // and of values
// Four words of padding, so that eight lanes that read 16 bytes of eight lines meet different banks.
constexpr int depth_pitch = depth + 4, width_pitch = width + 4, key_pitch = keys + 4;

/// A tile of 64 lines, COLUMNS from k on; zeros behind `present` lines and d columns. Line n begins at `line(n)`.
template <class Bits, int COLUMNS, class Line>
DEVICE void stage_fours(float *tile, uint32_t format, uint32_t present, uint32_t k, uint32_t d, Line line) {
  constexpr int count = 16 * COLUMNS / threads;
  const uint32_t first = threadIdx.x / (COLUMNS / 4), column = threadIdx.x % (COLUMNS / 4) * 4, step = threads / (COLUMNS / 4);
  Bits bits[count];
#pragma unroll
  for (int i = 0; i < count; i++) {
    const uint32_t n = first + i * step;
    bits[i] = four_bits<Bits>(line(n), k + column, n < present && k + column < d);
  }
#pragma unroll
  for (int i = 0; i < count; i++)
    *reinterpret_cast<float4 *>(tile + (first + i * step) * (COLUMNS + 4) + column) = four_values(bits[i], format);
}
template <int COLUMNS, class Line>
DEVICE void stage(float *tile, uint32_t format, uint32_t present, uint32_t k, uint32_t d, Line line) {
  if (d % 4 != 0) {
#pragma unroll 1
    for (uint32_t i = threadIdx.x; i < 64 * COLUMNS; i += threads) {
      const uint32_t n = i / COLUMNS, column = i % COLUMNS;
      tile[n * (COLUMNS + 4) + column] = n < present ? one(line(n), format, k + column, d) : 0.0f;
    }
  } else if (format == 0) stage_fours<float4, COLUMNS>(tile, format, present, k, d, line);
  else stage_fours<uint2, COLUMNS>(tile, format, present, k, d, line);
}

/// The rows from `first` on that belong to one sequence. A thread has four lines, and of them four keys of every tile, 16 apart, and four
/// columns of every 64. What it knows of a line, 15 others know too: the half warp that has the line.
template <int CHUNKS>
DEVICE void attend(const Parameters &P, uint32_t first, uint32_t rows, uint32_t kv_head, uint32_t head, uint32_t heads, float *staged,
                   float *weights, uint32_t *positions) {
  const uint32_t d = P.d, t = threadIdx.x, column = t & 15, line = (t >> 4) * 4;
  const uint32_t used = rows * heads;
  const bool active = (t >> 5) * 8 < used; // alike in a warp
  const uint8_t *q = reinterpret_cast<const uint8_t *>(P.q + (uint64_t)first * P.q_stride + head * d);
  const uint32_t length = P.rows[first + rows - 1].position + 1;
  const CacheLines cache = cache_lines(P.rows[first], P.before, kv_head, P.kv_heads, d);
  __syncthreads();
  if (t < lines) positions[t] = P.rows[first + min(t, used - 1) / heads].position;
  float most[4], total[4], sum[CHUNKS][4][4];
#pragma unroll
  for (int a = 0; a < 4; a++) {
    most[a] = -INFINITY;
    total[a] = 0.0f;
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
      for (int b = 0; b < 4; b++) sum[chunk][a][b] = 0.0f;
  }

#pragma unroll 1
  for (uint32_t begin = 0; begin < length; begin += keys) {
    const uint32_t present = min((uint32_t)keys, length - begin);
    const CacheTile tile = cache_tile(cache, begin, length);
    float score[4][4] = {};
#pragma unroll 1
    for (uint32_t c = 0; c < d; c += depth) {
      __syncthreads();
      stage<depth>(staged, 0, used, c, d, [&](uint32_t n) { return q + (n / heads * P.q_stride + n % heads * d) * 4; });
      stage<depth>(staged + lines * depth_pitch, cache.format, present, c, d, [&](uint32_t n) { return tile_line(tile, n); });
      __syncthreads();
      if (!active) continue;
      const uint32_t deep = min((uint32_t)depth, d - c);
#pragma unroll 1
      for (uint32_t k = 0; k < deep; k += 4) {
        float4 query[4];
#pragma unroll
        for (int a = 0; a < 4; a++) query[a] = *reinterpret_cast<const float4 *>(staged + (line + a) * depth_pitch + k);
#pragma unroll
        for (int b = 0; b < 4; b++) {
          const float4 key = *reinterpret_cast<const float4 *>(staged + (lines + column + 16 * b) * depth_pitch + k);
#pragma unroll
          for (int a = 0; a < 4; a++) score[a][b] = dot4(query[a], key, score[a][b]);
        }
      }
    }

    if (active) {
#pragma unroll
      for (int a = 0; a < 4; a++) {
        float largest = most[a];
#pragma unroll
        for (int b = 0; b < 4; b++) {
          score[a][b] = begin + column + 16 * b > positions[line + a] ? -INFINITY : score[a][b] * P.scale;
          largest = fmaxf(largest, score[a][b]);
        }
        largest = half_warp_max(largest);
        const float factor = expf(most[a] - largest);
        float part = 0.0f;
#pragma unroll
        for (int b = 0; b < 4; b++) {
          const float weight = expf(score[a][b] - largest);
          weights[(line + a) * key_pitch + column + 16 * b] = weight;
          part += weight;
        }
        most[a] = largest;
        total[a] = total[a] * factor + half_warp_sum(part);
#pragma unroll
        for (int chunk = 0; chunk < CHUNKS; chunk++)
#pragma unroll
          for (int b = 0; b < 4; b++) sum[chunk][a][b] *= factor;
      }
    }

#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      __syncthreads();
      stage<width>(staged, cache.format, present, chunk * width, d, [&](uint32_t n) { return tile_line(tile, n) + cache.values; });
      __syncthreads();
      if (!active || chunk * width + column * 4 >= d) continue;
#pragma unroll 1
      for (uint32_t key = 0; key < present; key += 4) {
        float4 weight[4];
#pragma unroll
        for (int a = 0; a < 4; a++) weight[a] = *reinterpret_cast<const float4 *>(weights + (line + a) * key_pitch + key);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float4 value = *reinterpret_cast<const float4 *>(staged + (key + i) * width_pitch + column * 4);
#pragma unroll
          for (int a = 0; a < 4; a++) {
            const float w = i == 0 ? weight[a].x : i == 1 ? weight[a].y : i == 2 ? weight[a].z : weight[a].w;
            float *s = sum[chunk][a];
            s[0] = fmaf(w, value.x, s[0]);
            s[1] = fmaf(w, value.y, s[1]);
            s[2] = fmaf(w, value.z, s[2]);
            s[3] = fmaf(w, value.w, s[3]);
          }
        }
      }
    }
  }

  // Out by way of the place for weights, of which a warp has eight lines to itself: whole lines are stored at once, and addresses
  // take few registers.
  if (!active) return;
#pragma unroll
  for (int chunk = 0; chunk < CHUNKS; chunk++) {
    __syncwarp();
#pragma unroll
    for (int a = 0; a < 4; a++)
#pragma unroll
      for (int b = 0; b < 4; b++) weights[(line + a) * key_pitch + column * 4 + b] = sum[chunk][a][b] / total[a];
    __syncwarp();
#pragma unroll 1
    for (uint32_t i = t & 31; i < 8 * width; i += 32) {
      const uint32_t n = (t >> 5) * 8 + i / width, k = chunk * width + i % width;
      if (n < used && k < d)
        P.y[(uint64_t)(first + n / heads) * P.y_stride + (head + n % heads) * d + k] = weights[n * key_pitch + i % width];
    }
  }
}

/// blockIdx.x: rows; blockIdx.y: a key/value head and a part of its query heads. The last rows, which see most keys, come first.
template <int CHUNKS> DEVICE void attention(const Parameters &P) {
  SHARED(float, staged, 2 * lines *depth_pitch);
  SHARED(float, weights, lines *key_pitch);
  SHARED(uint32_t, positions, lines);
  const uint32_t group = P.heads / P.kv_heads, parts = (group + P.block_heads - 1) / P.block_heads;
  const uint32_t kv_head = blockIdx.y / parts, inside = blockIdx.y % parts * P.block_heads;
  const uint32_t heads = min(P.block_heads, group - inside);
  const uint32_t begin = (gridDim.x - 1 - blockIdx.x) * P.block_rows, end = min(begin + P.block_rows, P.count);
  for (uint32_t first = begin; first < end;) {
    uint32_t next = first + 1;
    while (next < end && same_sequence(P.rows[next], P.rows[first])) next++;
    if (P.rows[first].format != P.left_out)
      attend<CHUNKS>(P, first, next - first, kv_head, kv_head * group + inside, heads, staged, weights, positions);
    first = next;
  }
}

KERNEL(attention_rows_64, Parameters, threads, 2) { attention<1>(P); }
KERNEL(attention_rows_128, Parameters, threads, 2) { attention<2>(P); }
KERNEL(attention_rows_256, Parameters, threads, 1) { attention<4>(P); }
