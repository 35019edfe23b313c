// What kernels of attention over whole sequences share. A head of up to D elements is spread over the lanes of a group: each has vectors of
// four, one from every `lanes`. Rows that all of a block look at lie in shared memory, some at a time.
#pragma once
#include "common.cuh"

constexpr int threads = 256;
/// Rows in shared memory.
constexpr int staged_rows = 16;

/// A head of up to D elements.
template <int D> struct Head {
  static constexpr int lanes = D == 256 ? 8 : 4;
  static constexpr int vectors = D / 4 / lanes;
  /// Rows of a block, a group of lanes each.
  static constexpr int rows = threads / lanes;
};

/// Elements k to k + 3 of a head of d, which is even; zeros behind.
DEVICE float4 head_part(const float *head, uint32_t k, uint32_t d) {
  const float2 none = make_float2(0, 0);
  const float2 a = k < d ? *reinterpret_cast<const float2 *>(head + k) : none;
  const float2 b = k + 2 < d ? *reinterpret_cast<const float2 *>(head + k + 2) : none;
  return make_float4(a.x, a.y, b.x, b.y);
}

/// A lane's vectors of a head.
template <int D> DEVICE void load_head(const float *head, uint32_t lane, uint32_t d, float4 *part) {
#pragma unroll
  for (int i = 0; i < Head<D>::vectors; i++) part[i] = head_part(head, 4 * (lane + i * Head<D>::lanes), d);
}

template <int D> DEVICE void store_head(float *head, uint32_t lane, uint32_t d, const float4 *part) {
#pragma unroll
  for (int i = 0; i < Head<D>::vectors; i++) {
    const uint32_t k = 4 * (lane + i * Head<D>::lanes);
    if (k < d) *reinterpret_cast<float2 *>(head + k) = make_float2(part[i].x, part[i].y);
    if (k + 2 < d) *reinterpret_cast<float2 *>(head + k + 2) = make_float2(part[i].z, part[i].w);
  }
}

/// Puts the heads of rows `begin` and following into shared memory; rows behind `last` are that one again.
template <int D> DEVICE void stage(float *staged, const float *heads, uint32_t stride, uint32_t begin, uint32_t last, uint32_t d) {
  for (uint32_t i = threadIdx.x; i < staged_rows * (D / 4); i += threads) {
    const uint32_t row = i / (D / 4), k = i % (D / 4) * 4;
    *reinterpret_cast<float4 *>(staged + row * D + k) = head_part(heads + (uint64_t)min(begin + row, last) * stride, k, d);
  }
}

/// A lane's vector i of a staged row.
template <int D> DEVICE float4 staged_part(const float *staged, uint32_t row, uint32_t lane, int i) {
  return *reinterpret_cast<const float4 *>(staged + row * D + 4 * (lane + i * Head<D>::lanes));
}

/// The product of a lane's head and a staged row, the same in all lanes of the group.
template <int D> DEVICE float product(const float4 *part, const float *staged, uint32_t row, uint32_t lane) {
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < Head<D>::vectors; i++) sum = dot4(part[i], staged_part<D>(staged, row, lane, i), sum);
#pragma unroll
  for (int lanes = Head<D>::lanes / 2; lanes > 0; lanes >>= 1) sum += __shfl_xor_sync(allLanes, sum, lanes);
  return sum;
}

/// sum + factor v
DEVICE float4 fma4(float factor, float4 v, float4 sum) {
  return make_float4(fmaf(factor, v.x, sum.x), fmaf(factor, v.y, sum.y), fmaf(factor, v.z, sum.z), fmaf(factor, v.w, sum.w));
}
