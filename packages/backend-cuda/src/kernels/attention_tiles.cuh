// Parameters of attention in tiles, in f32 (attention_rows.cu) and on tensor cores (attention_mma.cu): one launch of each gets the same.
#pragma once
#include "attention.cuh"

struct Parameters {
  const Row *rows;
  const float *q;
  float *y;
  /// Rows of the step.
  uint32_t count;
  /// Elements per position that lie before this attention's keys.
  uint32_t before;
  uint32_t heads, kv_heads, d;
  /// Query heads and rows of a block; together at most 64.
  uint32_t block_heads, block_rows;
  uint32_t q_stride, y_stride;
  float scale;
  /// Format of caches that are left to attention_mma.cu; 3 is none.
  uint32_t left_out;
};
#include "asserts/attention_tiles.cuh"
