// Attention of prompts on tensor cores, for cards of compute capability 8.0 on, caches in f16, and heads of a multiple of eight up to
// 128: as attention_rows.cu, which does the rest, but with a warp for 16 queries whose scores, weights and sums stay in registers
// (Dao, arXiv 2307.08691). Keys and values are multiplied as the cache has them; queries are rounded to f16, times a power of two
// per query, and so are weights, times 2^14, so that only what is 2^-28 of a row's largest loses bits to f16's least exponent.
//
// A block has 64 queries, and one tile of 64 keys and one of values in shared memory: the next keys come by cp.async while weights
// are made and values multiplied, the next values while the next scores are. Each tile takes a warp 128 matrix instructions at d = 128,
// and 64 of ldmatrix, 16-byte pieces of a line being exchanged by the line's number so that eight lines lie in different banks.
#include "attention_tiles.cuh"
#include "mma.cuh"
#include "rounding.cuh"

KERNEL_FILE("attention_mma")

constexpr int threads = 128;
constexpr int keys = 64;
static_assert(keys == 2 * kv_block_rows, "a tile of keys lies in two KV blocks");
constexpr float weight_scale = 16384.0f;

/// Place of a 16-byte piece of a line, in 16-bit values.
template <int D> DEVICE int piece(int line, int i) { return line * D + (i ^ (line & 7)) * 8; }

/// The rows from `first` on that belong to one sequence. Of a warp's 16 lines, which are queries of a row and head, a lane has two.
template <int D>
DEVICE void attend(const Parameters &P, uint32_t first, uint32_t rows, uint32_t kv_head, uint32_t head, uint32_t heads, uint16_t *ks,
                   uint16_t *vs) {
  const uint32_t d = P.d, t = threadIdx.x, lane = t & 31, line = (t >> 5) * 16 + (lane >> 2), pair = (lane & 3) * 2;
  const uint32_t used = rows * heads;
  const bool active = (t >> 5) * 16 < used; // alike in a warp
  const uint32_t length = P.rows[first + rows - 1].position + 1;
  const CacheLines cache = cache_lines(P.rows[first], P.before, kv_head, P.kv_heads, d);
  const auto fetch = [&](uint16_t *tile, uint32_t behind, uint32_t begin) {
    if (begin < length) {
      const CacheTile from = cache_tile(cache, begin, length);
#pragma unroll
      for (uint32_t j = 0; j < keys * D / 8 / threads; j++) {
        const uint32_t n = (t + j * threads) / (D / 8), i = (t + j * threads) % (D / 8);
        copy_async(tile + piece<D>(n, i), tile_line(from, n) + behind + i * 16, begin + n < length && i * 8 < d);
      }
    }
    copies_commit();
  };
  __syncthreads();
  fetch(ks, 0, 0);
  fetch(vs, cache.values, 0);

  FragmentA q[D / 16];
  uint32_t position[2];
  float unscale[2], most[2], total[2];
#pragma unroll
  for (int side = 0; side < 2; side++) {
    const uint32_t n = min(line + side * 8, used - 1);
    const float *from = P.q + (uint64_t)(first + n / heads) * P.q_stride + (head + n % heads) * d;
    position[side] = P.rows[first + n / heads].position;
    float largest = 0.0f;
    for (uint32_t k = pair; k < d; k += 8) largest = fmaxf(largest, fmaxf(fabsf(from[k]), fabsf(from[k + 1])));
    largest = fmaxf(largest, __shfl_xor_sync(allLanes, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(allLanes, largest, 2));
    const int exponent = row_exponent(largest);
    const float scale = power_of_two(exponent);
    unscale[side] = power_of_two(-exponent);
#pragma unroll
    for (int c = 0; c < D / 8; c++) {
      const uint32_t k = c * 8 + pair;
      q[c / 2].v[c % 2 * 2 + side] = k < d ? half_pair(from[k] * scale, from[k + 1] * scale) : 0u;
    }
    most[side] = -INFINITY;
    total[side] = 0.0f;
  }

  FragmentC sum[D / 8] = {};
#pragma unroll 1
  for (uint32_t begin = 0; begin < length; begin += keys) {
    copies_wait<1>(); // keys are there, values may be on their way
    __syncthreads();
    FragmentC score[keys / 8] = {};
    if (active) {
#pragma unroll
      for (int c = 0; c < D / 16; c++)
#pragma unroll
        for (int j = 0; j < keys / 8; j += 2) {
          // Of eight keys 16 columns, then of the next eight.
          uint32_t v[4];
          load_matrices(v, ks + piece<D>(j * 8 + (lane & 7) + (lane >> 4) * 8, c * 2 + ((lane >> 3) & 1)));
          mma_f16(score[j], q[c], FragmentB{{v[0], v[1]}});
          mma_f16(score[j + 1], q[c], FragmentB{{v[2], v[3]}});
        }
    }
    __syncthreads();
    fetch(ks, 0, begin + keys);

    FragmentA weight[keys / 16];
    if (active) {
#pragma unroll
      for (int side = 0; side < 2; side++) {
        float largest = most[side];
#pragma unroll
        for (int j = 0; j < keys / 8; j++)
#pragma unroll
          for (int c = 0; c < 2; c++) {
            float &s = score[j].v[side * 2 + c];
            s = begin + j * 8 + pair + c > position[side] ? -INFINITY : s * unscale[side] * P.scale;
            largest = fmaxf(largest, s);
          }
        largest = fmaxf(largest, __shfl_xor_sync(allLanes, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(allLanes, largest, 2));
        const float factor = expf(most[side] - largest);
        most[side] = largest;
        total[side] *= factor;
#pragma unroll
        for (int j = 0; j < keys / 8; j++) {
          const float a = expf(score[j].v[side * 2] - largest), b = expf(score[j].v[side * 2 + 1] - largest);
          total[side] += a + b;
          weight[j / 2].v[j % 2 * 2 + side] = half_pair(a * weight_scale, b * weight_scale);
        }
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
          sum[j].v[side * 2] *= factor;
          sum[j].v[side * 2 + 1] *= factor;
        }
      }
    }

    copies_wait<1>(); // values are there
    __syncthreads();
    if (active) {
#pragma unroll
      for (int c = 0; c < keys / 16; c++)
#pragma unroll
        for (int j = 0; j < D / 8; j += 2) {
          // Of eight columns 16 keys, then of the next eight columns.
          uint32_t v[4];
          load_matrices<true>(v, vs + piece<D>(c * 16 + (lane & 15), j + (lane >> 4)));
          mma_f16(sum[j], weight[c], FragmentB{{v[0], v[1]}});
          mma_f16(sum[j + 1], weight[c], FragmentB{{v[2], v[3]}});
        }
    }
    __syncthreads();
    fetch(vs, cache.values, begin + keys);
  }

#pragma unroll
  for (int side = 0; side < 2; side++) {
    float all = total[side];
    all += __shfl_xor_sync(allLanes, all, 1);
    all += __shfl_xor_sync(allLanes, all, 2);
    all *= weight_scale;
    const uint32_t n = line + side * 8;
    if (n >= used) continue;
    float *y = P.y + (uint64_t)(first + n / heads) * P.y_stride + (head + n % heads) * d + pair;
#pragma unroll
    for (int j = 0; j < D / 8; j++)
      if (j * 8 < d) *reinterpret_cast<float2 *>(y + j * 8) = make_float2(sum[j].v[side * 2] / all, sum[j].v[side * 2 + 1] / all);
  }
}

/// Blocks as those of attention_rows.cu; sequences whose cache is not in f16 are left to it.
template <int D> DEVICE void attention(const Parameters &P) {
  SHARED(uint16_t, ks, keys *D);
  SHARED(uint16_t, vs, keys *D);
  const uint32_t group = P.heads / P.kv_heads, parts = (group + P.block_heads - 1) / P.block_heads;
  const uint32_t kv_head = blockIdx.y / parts, inside = blockIdx.y % parts * P.block_heads;
  const uint32_t heads = min(P.block_heads, group - inside);
  const uint32_t begin = (gridDim.x - 1 - blockIdx.x) * P.block_rows, end = min(begin + P.block_rows, P.count);
  for (uint32_t first = begin; first < end;) {
    uint32_t next = first + 1;
    while (next < end && same_sequence(P.rows[next], P.rows[first])) next++;
    if (P.rows[first].format == 1) attend<D>(P, first, next - first, kv_head, kv_head * group + inside, heads, ks, vs);
    first = next;
  }
}

KERNEL(attention_mma_64, Parameters, threads, 3) { attention<64>(P); }
KERNEL(attention_mma_128, Parameters, threads, 2) { attention<128>(P); }
