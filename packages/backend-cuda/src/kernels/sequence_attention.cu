// Attention within whole sequences, as training has it, with the logarithm of what softmax divides by. A block has some rows of a head, and
// goes over the keys that its last row sees, with a running softmax and a running result in registers (FlashAttention, arXiv 2205.14135).
// Scores are in base 2 and the running maximum is an integer, so that what was summed before is scaled by powers of two, exactly.
#include "sequence.cuh"

KERNEL_FILE("sequence_attention")

struct Parameters {
  const float *q;
  const float *k;
  const float *v;
  /// Of each row, the first row of its sequence and the row behind its last.
  const uint2 *bounds;
  float *y;
  /// May be null.
  float *log_sum_exp;
  /// Query heads that share a key.
  uint32_t group;
  uint32_t rows, d, q_stride, k_stride, v_stride, y_stride, sum_stride;
  /// log2(e) / sqrt(d)
  float scale;
};
#include "asserts/sequence_attention.cuh"

constexpr float lowest = -3.0e38f;
constexpr int keys_at_once = 4;

/// 2^n for an integer of at most 0.
DEVICE float power_of_two(float n) { return n < -126.0f ? 0.0f : __uint_as_float(uint32_t(int(n) + 127) << 23); }

template <int D> DEVICE void attend(const Parameters &P) {
  constexpr int vectors = Head<D>::vectors;
  SHARED(float, keys, staged_rows * D);
  SHARED(float, values, staged_rows * D);
  const uint32_t lane = threadIdx.x % Head<D>::lanes, head = blockIdx.y;
  const uint32_t begin = blockIdx.x * Head<D>::rows, last = min(begin + Head<D>::rows, P.rows) - 1;
  const uint32_t own = begin + threadIdx.x / Head<D>::lanes, n = min(own, last);
  const uint32_t warp_last = min(begin + (threadIdx.x | 31) / Head<D>::lanes, last);
  const uint32_t first = P.bounds[n].x, block_first = P.bounds[begin].x;
  const uint32_t kv = head / P.group * P.d;
  float4 query[vectors], sum[vectors];
  load_head<D>(P.q + (uint64_t)n * P.q_stride + head * P.d, lane, P.d, query);
#pragma unroll
  for (int i = 0; i < vectors; i++) sum[i] = make_float4(0, 0, 0, 0);
  float most = lowest, total = 0.0f;

  for (uint32_t t0 = block_first; t0 <= last; t0 += staged_rows) {
    if (t0 > block_first) __syncthreads();
    stage<D>(keys, P.k + kv, P.k_stride, t0, last, P.d);
    stage<D>(values, P.v + kv, P.v_stride, t0, last, P.d);
    __syncthreads();
#pragma unroll 1
    for (uint32_t j = 0; j < staged_rows && t0 + j <= warp_last; j += keys_at_once) {
      float score[keys_at_once], largest = most;
#pragma unroll
      for (int i = 0; i < keys_at_once; i++) {
        const uint32_t t = t0 + j + i;
        const float found = product<D>(query, keys, j + i, lane) * P.scale;
        score[i] = t >= first && t <= n ? found : -INFINITY;
        largest = fmaxf(largest, score[i]);
      }
      const float raised = largest > most ? ceilf(largest) : most;
      const float factor = power_of_two(most - raised);
      most = raised;
      total *= factor;
#pragma unroll
      for (int i = 0; i < vectors; i++)
        sum[i] = make_float4(sum[i].x * factor, sum[i].y * factor, sum[i].z * factor, sum[i].w * factor);
#pragma unroll
      for (int i = 0; i < keys_at_once; i++) {
        const float p = exp2f(score[i] - most);
        total += p;
#pragma unroll
        for (int v = 0; v < vectors; v++) sum[v] = fma4(p, staged_part<D>(values, j + i, lane, v), sum[v]);
      }
    }
  }
  if (own > last) return;
#pragma unroll
  for (int i = 0; i < vectors; i++) sum[i] = make_float4(sum[i].x / total, sum[i].y / total, sum[i].z / total, sum[i].w / total);
  store_head<D>(P.y + (uint64_t)n * P.y_stride + head * P.d, lane, P.d, sum);
  if (lane > 0 || P.log_sum_exp == nullptr) return;
  // ln 2 in two parts, of which the first times an integer is exact.
  P.log_sum_exp[(uint64_t)n * P.sum_stride + head] = most * 0.693145752f + (most * 1.42860677e-6f + logf(total));
}

KERNEL(sequence_attention_64, Parameters, threads) { attend<64>(P); }
KERNEL(sequence_attention_128, Parameters, threads) { attend<128>(P); }
KERNEL(sequence_attention_256, Parameters, threads) { attend<256>(P); }
