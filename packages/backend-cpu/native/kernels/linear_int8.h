// y = x W^T + residual, of quantized weights and an input that was rounded to int8 (convert.h). Two ways with the same
// sums, so that a row's result does not depend on what it is computed with: few rows meet the weights as they are
// stored; for many rows a group of weights is expanded to bytes once, and read for all of them.
//
// The sum of a row and a row of weights: for each 32 columns, and each sub-block of them, scale times the product in
// integers, then minimum times the sum of the input; added in this order, by fused multiply-adds where there are such.
#pragma once
#include "common.h"
#include "convert.h"
#include "format.h"

namespace KERNELS {

/** -bias times the sum of q, of sub-block `sub`. */
template <class Format> INLINE I start_of(const Converted& x, u32 sub) {
  constexpr int bias = Format::bias;
  constexpr int shift = bias == 128 ? 7 : bias == 32 ? 5 : bias == 16 ? 4 : bias == 8 ? 3 : 2;
  static_assert(bias == 0 || bias == 1 << shift, "biases are powers of two");
  if (bias == 0) return iset1(0);
  I sum = iset1(Format::subs == 1 ? x.sum : x.sums[sub]);
  here(sum);
  return ishl<shift>(sum);
}

/**
 * Adds the products of 32 columns to sums of N rows and S slices. `quants(i, s)` gives vector i of a slice,
 * `factors(k, s)` scale k, or minimum k - subs.
 */
template <class Format, bool Ordered, u32 N, u32 S, class Quants, class Factors>
INLINE void add_products(F (&acc)[N][S], const Quants& quants, const Factors& factors, const Converted* const (&x)[N]) {
  constexpr int subs = Format::subs, count = 8 / subs;
  for (int sub = 0; sub < subs; sub++) {
    I sums[N][S];
    const i8* q[N];
    for (u32 n = 0; n < N; n++) {
      q[n] = x[n]->q + 4 * count * sub;
      const I start = start_of<Format>(*x[n], sub);
      for (u32 s = 0; s < S; s++) sums[n][s] = start;
    }
    const auto own_quants = [&](int i, u32 s) INLINE_LAMBDA { return quants(count * sub + i, s); };
    products<Format::most, Format::is_signed, count, Ordered>(sums, own_quants, q);
    F scale[S], minimum[S];
    for (u32 s = 0; s < S; s++) {
      scale[s] = factors(sub, s);
      if (Format::has_minimum) minimum[s] = factors(subs + sub, s);
    }
    for (u32 n = 0; n < N; n++) {
      const F d = set1(x[n]->scale), m = set1(subs == 1 ? x[n]->scaled_sum : x[n]->scaled_sums[sub]);
      for (u32 s = 0; s < S; s++) {
        acc[n][s] = fma(to_float(sums[n][s]), mul(scale[s], d), acc[n][s]);
        if (Format::has_minimum) acc[n][s] = fma(minimum[s], m, acc[n][s]);
        if (Ordered) here(acc[n][s]);
      }
    }
  }
}

/** What a slice gives: L values of a row. */
INLINE void finish(const LinearStep& s, const Context& c, u32 n, u32 row, F acc) {
  float* y = row_at(at<float>(c, s.y), s.yStride, n) + row;
  const float* residual = s.residual ? row_at(at<const float>(c, s.residual), s.residualStride, n) + row : nullptr;
  if (row + L <= s.matrixRows) return store(y, residual ? add(acc, load(residual)) : acc);
  float values[L];
  store(values, acc);
  for (u32 i = 0; row + i < s.matrixRows; i++) y[i] = residual ? values[i] + residual[i] : values[i];
}

/** Weights as they are stored, and N rows from `first` on. */
template <class Format, u32 N> INLINE void few_rows(const LinearStep& s, const Context& c, u32 group, u32 first) {
  constexpr u32 per_block = Format::columns / 32, S = least(slices, 2);
  constexpr u32 ahead = 4096, lines = (Format::bytes / per_block + 63) / 64;
  const u32 blocks = s.columns / Format::columns;
  const u8* w = at<const u8>(c, s.weights) + (u64)(s.firstRow / group_rows + group) * blocks * Format::bytes;
  const Converted* x[N];
  F acc[slices / S][N][S];
  for (u32 n = 0; n < N; n++) {
    x[n] = (const Converted*)row_at(at<const float>(c, s.x), s.xStride, first + n);
    for (u32 i = 0; i < slices; i++) acc[i / S][n][i % S] = set1(0);
  }
  for (u32 b = 0; b < blocks; b++, w += Format::bytes) {
    for (u32 j = 0; j < per_block; j++) {
      for (u32 line = 0; line < lines; line++) prefetch(w + ahead + Format::bytes / per_block * j + 64 * line);
      for (u32 i = 0; i < slices / S; i++) {
        B q[S][8];
        for (u32 k = 0; k < S; k++) Format::quants(w, j, S * i + k, q[k]);
        const auto quants = [&](u32 vector, u32 k) INLINE_LAMBDA { return q[k][vector]; };
        const auto factors = [&](u32 f, u32 k) INLINE_LAMBDA {
          const u32 slice = S * i + k;
          return f < Format::subs ? Format::scale(w, j, f, slice) : Format::minimum(w, j, f - Format::subs, slice);
        };
        add_products<Format, false>(acc[i], quants, factors, x);
      }
      for (u32 n = 0; n < N; n++) x[n]++;
    }
  }
  for (u32 n = 0; n < N; n++) {
    for (u32 i = 0; i < slices; i++) {
      const u32 row = group_rows * group + L * i;
      if (row < s.matrixRows) finish(s, c, first + n, row, acc[i / S][n][i % S]);
    }
  }
}

/** 32 columns of a group, expanded: quants [8][64], scales and minimums [subs][16]. */
template <class Format> constexpr u32 expanded_bytes = 512 + 64 * Format::subs * (Format::has_minimum ? 2 : 1);

template <class Format> INLINE void expand(const u8* w, u32 blocks, u8* to) {
  for (u32 b = 0; b < blocks; b++, w += Format::bytes) {
    for (u32 j = 0; j < Format::columns / 32; j++, to += expanded_bytes<Format>) {
      for (u32 i = 0; i < slices; i++) {
        B q[8];
        Format::quants(w, j, i, q);
        for (u32 k = 0; k < 8; k++) bstore(to + 64 * k + slice_bytes(i), q[k]);
        for (u32 sub = 0; sub < Format::subs; sub++) {
          float* scales = (float*)(to + 512) + L * i;
          store(scales + 16 * sub, Format::scale(w, j, sub, i));
          if (Format::has_minimum) store(scales + 16 * (Format::subs + sub), Format::minimum(w, j, sub, i));
        }
      }
    }
  }
}

/** Blocks of 32 columns that are expanded at once: as many as the nearest cache holds beside the input. */
constexpr u32 chunk_blocks = 16;

/** Groups that are expanded together. */
constexpr u32 together = most(1, tile_slices / slices);

/** Where many rows meet a chunk of groups. */
struct Chunk {
  const LinearStep& step;
  const Context& context;
  /** Expanded weights, of each group `stride` bytes. */
  const u8* expanded;
  u64 stride;
  /** Sums of the columns before, [rows, slices of all groups, L]. */
  float* sums;
  u32 group;
  /** Blocks of 32 columns. */
  u32 first, count;
  /** Of each group the weights that come next, and how many lines of them are fetched with each block meanwhile. */
  const u8* next[together];
  u32 next_lines, lines_at_once;
};

/** S slices of expanded weights, and N rows from `row` on. */
template <class Format, u32 N, u32 S> INLINE void many_rows(const Chunk& chunk, u32 slice, u32 row, u32& fetched) {
  const LinearStep& s = chunk.step;
  const Converted* x[N];
  F acc[N][S];
  float* sums[N];
  for (u32 n = 0; n < N; n++) {
    x[n] = (const Converted*)row_at(at<const float>(chunk.context, s.x), s.xStride, row + n) + chunk.first;
    sums[n] = chunk.sums + (u64)group_rows * together * (row + n) + L * slice;
    for (u32 i = 0; i < S; i++) acc[n][i] = chunk.first == 0 ? set1(0) : load(sums[n] + L * i);
  }
  const u64 next_tile = (u64)s.xStride * N * 4;
  const u8* w[S];
  for (u32 i = 0; i < S; i++) {
    w[i] = chunk.expanded + (slice + i) / slices * chunk.stride + slice_bytes((slice + i) % slices);
  }
  for (u32 b = 0; b < chunk.count; b++) {
    const auto quants = [&](u32 vector, u32 i) INLINE_LAMBDA { return bload(w[i] + 64 * vector); };
    const auto factors = [&](u32 f, u32 i) INLINE_LAMBDA { return load((const float*)(w[i] + 512) + group_rows * f); };
    add_products<Format, true>(acc, quants, factors, x);
    for (u32 n = 0; n < N; n++) prefetch((const u8*)x[n] + next_tile);
    for (u32 i = 0; i < chunk.lines_at_once && fetched < chunk.next_lines; i++, fetched++) {
      for (u32 g = 0; g < together; g++) prefetch_far(chunk.next[g] + 64 * fetched);
    }
    for (u32 n = 0; n < N; n++) x[n]++;
    for (u32 i = 0; i < S; i++) w[i] += expanded_bytes<Format>;
  }
  const bool last = chunk.first + chunk.count == s.columns / 32;
  for (u32 n = 0; n < N; n++) {
    for (u32 i = 0; i < S; i++) {
      const u32 weights_row = group_rows * chunk.group + L * (slice + i);
      if (!last) {
        store(sums[n] + L * i, acc[n][i]);
      } else if (weights_row < s.matrixRows) {
        finish(s, chunk.context, row + n, weights_row, acc[n][i]);
      }
    }
  }
}

template <u32 Value> struct Number {
  static constexpr u32 value = Value;
};

/** Calls work with a Number, which is from 1 to Most. */
template <u32 Most, class Work> INLINE void with_number(u32 number, const Work& work) {
  if constexpr (Most > 0) {
    if (number == Most) return work(Number<Most>());
    with_number<Most - 1>(number, work);
  }
}

/** Rows that are multiplied with weights as they are stored. */
template <class Format> constexpr u32 few_rows_of = Format::subs == 1 ? most_few_rows : least(most_few_rows, 6);

template <class Format> void linear_few(const LinearStep& s, const Context& c) {
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, blocks = s.columns / Format::columns;
  // Units of about 128 KiB of weights.
  const u32 at_once = most(1, 131072 / (blocks * Format::bytes));
  for (u32 unit; c.next((groups + at_once - 1) / at_once, unit);) {
    for (u32 group = unit * at_once; group < least(groups, (unit + 1) * at_once); group++) {
      with_number<few_rows_of<Format>>(s.rows, [&](auto n) { few_rows<Format, decltype(n)::value>(s, c, group, 0); });
    }
  }
}

template <class Format> void linear_many(const LinearStep& s, const Context& c) {
  constexpr u32 S = tile_slices, per_block = Format::columns / 32;
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, blocks = s.columns / Format::columns;
  const u32 tiles = (s.rows + tile_rows - 1) / tile_rows, passes = tiles * (together * slices / S);
  constexpr u64 stride = chunk_blocks * expanded_bytes<Format>;
  const u8* weights = at<const u8>(c, s.weights) + (u64)s.firstRow / group_rows * blocks * Format::bytes;
  for (u32 unit; c.next((groups + together - 1) / together, unit);) {
    Chunk chunk = {s, c, c.scratch, stride, (float*)(c.scratch + together * stride), unit * together, 0, 0, {}, 0, 0};
    for (; chunk.first < s.columns / 32; chunk.first += chunk_blocks) {
      chunk.count = least(chunk_blocks, s.columns / 32 - chunk.first);
      const u32 bytes = chunk.count / per_block * Format::bytes;
      const bool last = chunk.first + chunk.count == s.columns / 32;
      for (u32 i = 0; i < together; i++) {
        const u64 group = least(chunk.group + i, groups - 1);
        const u8* w = weights + (group * blocks + chunk.first / per_block) * Format::bytes;
        expand<Format>(w, chunk.count / per_block, c.scratch + i * stride);
        chunk.next[i] = w + bytes + (last ? (together - 1) * (u64)blocks * Format::bytes : 0);
      }
      chunk.next_lines = bytes / 64 + 1;
      chunk.lines_at_once = chunk.next_lines / (passes * chunk.count) + 1;
      u32 fetched = 0;
      for (u32 tile = 0; tile < tiles; tile++) {
        const u32 row = s.rows * tile / tiles, end = s.rows * (tile + 1) / tiles;
        with_number<tile_rows>(end - row, [&](auto n) {
          for (u32 slice = 0; slice < together * slices; slice += S) {
            many_rows<Format, decltype(n)::value, S>(chunk, slice, row, fetched);
          }
        });
      }
    }
  }
}

template <class Format> void linear_int8(const LinearStep& s, const Context& c) {
  if (s.rows <= few_rows_of<Format>) return linear_few<Format>(s, c);
  linear_many<Format>(s, c);
}

}  // namespace KERNELS
