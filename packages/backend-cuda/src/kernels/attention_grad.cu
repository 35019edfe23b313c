// The gradient of attention within whole sequences (FlashAttention, arXiv 2205.14135, appendix B): weights of softmax are computed again
// from logSumExp, and nothing of [N, N] is kept. First what each row and head needs beside its query; then the gradient by queries, a block
// going over the keys that its rows see; and by keys and values, a block going over the rows that see its own, for each query head that
// shares them. Sums are in f32, always in the same order.
#include "sequence.cuh"

KERNEL_FILE("attention_grad")

struct RowParameters {
  const float *out;
  const float *log_sum_exp;
  const float *cotangent;
  /// (logSumExp, cotangent . out) [N, H]
  float2 *sums;
  uint32_t rows, heads, d, out_stride, cotangent_stride, sum_stride;
};

struct Parameters {
  const float *q;
  const float *k;
  const float *v;
  const float *cotangent;
  const float2 *sums;
  /// Of each row, the first row of its sequence and the row behind its last.
  const uint2 *bounds;
  float *q_grad;
  float *k_grad;
  float *v_grad;
  /// Query heads that share a key.
  uint32_t group;
  uint32_t rows, heads, d, q_stride, k_stride, v_stride, cotangent_stride;
  uint32_t q_grad_stride, k_grad_stride, v_grad_stride;
  /// 1 / sqrt(d)
  float scale;
};
#include "asserts/attention_grad.cuh"

KERNEL(attention_grad_rows, RowParameters, 128) {
  const uint32_t n = blockIdx.x * 128 + threadIdx.x, head = blockIdx.y;
  if (n >= P.rows) return;
  const float *out = P.out + (uint64_t)n * P.out_stride + head * P.d;
  const float *dy = P.cotangent + (uint64_t)n * P.cotangent_stride + head * P.d;
  float sum = 0.0f;
  for (uint32_t k = 0; k < P.d; k++) sum = fmaf(dy[k], out[k], sum);
  P.sums[(uint64_t)n * P.heads + head] = make_float2(P.log_sum_exp[(uint64_t)n * P.sum_stride + head], sum);
}

template <int D> DEVICE void by_query(const Parameters &P) {
  constexpr int vectors = Head<D>::vectors;
  SHARED(float, keys, staged_rows * D);
  SHARED(float, values, staged_rows * D);
  const uint32_t lane = threadIdx.x % Head<D>::lanes, head = blockIdx.y;
  const uint32_t begin = blockIdx.x * Head<D>::rows, last = min(begin + Head<D>::rows, P.rows) - 1;
  const uint32_t own = begin + threadIdx.x / Head<D>::lanes, n = min(own, last);
  const uint32_t warp_last = min(begin + (threadIdx.x | 31) / Head<D>::lanes, last);
  const uint32_t first = P.bounds[n].x, block_first = P.bounds[begin].x;
  const uint32_t kv = head / P.group * P.d;
  const float2 row = P.sums[(uint64_t)n * P.heads + head];
  float4 query[vectors], dy[vectors], sum[vectors];
  load_head<D>(P.q + (uint64_t)n * P.q_stride + head * P.d, lane, P.d, query);
  load_head<D>(P.cotangent + (uint64_t)n * P.cotangent_stride + head * P.d, lane, P.d, dy);
#pragma unroll
  for (int i = 0; i < vectors; i++) sum[i] = make_float4(0, 0, 0, 0);

  for (uint32_t t0 = block_first; t0 <= last; t0 += staged_rows) {
    if (t0 > block_first) __syncthreads();
    stage<D>(keys, P.k + kv, P.k_stride, t0, last, P.d);
    stage<D>(values, P.v + kv, P.v_stride, t0, last, P.d);
    __syncthreads();
#pragma unroll 1
    for (uint32_t j = 0; j < staged_rows && t0 + j <= warp_last; j++) {
      const uint32_t t = t0 + j;
      const float score = product<D>(query, keys, j, lane), of_value = product<D>(dy, values, j, lane);
      const float p = t >= first && t <= n ? expf(score * P.scale - row.x) : 0.0f;
      const float s = p * (of_value - row.y) * P.scale;
#pragma unroll
      for (int i = 0; i < vectors; i++) sum[i] = fma4(s, staged_part<D>(keys, j, lane, i), sum[i]);
    }
  }
  if (own <= last) store_head<D>(P.q_grad + (uint64_t)n * P.q_grad_stride + head * P.d, lane, P.d, sum);
}

template <int D> DEVICE void by_key(const Parameters &P) {
  constexpr int vectors = Head<D>::vectors;
  SHARED(float, queries, staged_rows * D);
  SHARED(float, cotangents, staged_rows * D);
  const uint32_t lane = threadIdx.x % Head<D>::lanes, kv = blockIdx.y;
  const uint32_t begin = blockIdx.x * Head<D>::rows, last = min(begin + Head<D>::rows, P.rows) - 1;
  const uint32_t own = begin + threadIdx.x / Head<D>::lanes, t = min(own, last);
  const uint32_t warp_first = min(begin + (threadIdx.x & ~31u) / Head<D>::lanes, last);
  const uint32_t end = P.bounds[t].y, block_end = P.bounds[last].y;
  float4 key[vectors], value[vectors], key_sum[vectors], value_sum[vectors];
  load_head<D>(P.k + (uint64_t)t * P.k_stride + kv * P.d, lane, P.d, key);
  load_head<D>(P.v + (uint64_t)t * P.v_stride + kv * P.d, lane, P.d, value);
#pragma unroll
  for (int i = 0; i < vectors; i++) key_sum[i] = value_sum[i] = make_float4(0, 0, 0, 0);

  for (uint32_t head = kv * P.group; head < (kv + 1) * P.group; head++) {
    for (uint32_t n0 = begin; n0 < block_end; n0 += staged_rows) {
      __syncthreads();
      stage<D>(queries, P.q + head * P.d, P.q_stride, n0, block_end - 1, P.d);
      stage<D>(cotangents, P.cotangent + head * P.d, P.cotangent_stride, n0, block_end - 1, P.d);
      __syncthreads();
#pragma unroll 1
      for (uint32_t j = 0; j < staged_rows && n0 + j < block_end; j++) {
        const uint32_t n = n0 + j;
        if (n < warp_first) continue;
        const float score = product<D>(key, queries, j, lane), of_value = product<D>(value, cotangents, j, lane);
        const float2 row = P.sums[(uint64_t)n * P.heads + head];
        const float p = n >= t && n < end ? expf(score * P.scale - row.x) : 0.0f;
        const float s = p * (of_value - row.y) * P.scale;
#pragma unroll
        for (int i = 0; i < vectors; i++) {
          key_sum[i] = fma4(s, staged_part<D>(queries, j, lane, i), key_sum[i]);
          value_sum[i] = fma4(p, staged_part<D>(cotangents, j, lane, i), value_sum[i]);
        }
      }
    }
  }
  if (own > last) return;
  store_head<D>(P.k_grad + (uint64_t)t * P.k_grad_stride + kv * P.d, lane, P.d, key_sum);
  store_head<D>(P.v_grad + (uint64_t)t * P.v_grad_stride + kv * P.d, lane, P.d, value_sum);
}

KERNEL(attention_grad_q_64, Parameters, threads) { by_query<64>(P); }
KERNEL(attention_grad_q_128, Parameters, threads) { by_query<128>(P); }
KERNEL(attention_grad_q_256, Parameters, threads) { by_query<256>(P); }
KERNEL(attention_grad_kv_64, Parameters, threads) { by_key<64>(P); }
KERNEL(attention_grad_kv_128, Parameters, threads) { by_key<128>(P); }
KERNEL(attention_grad_kv_256, Parameters, threads) { by_key<256>(P); }
