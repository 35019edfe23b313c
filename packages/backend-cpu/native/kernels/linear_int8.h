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

/** 32 columns of a slice of weights. */
template <class Format> struct Columns {
  B q[8];
  F scale[Format::subs];
  F minimum[Format::subs];
};

template <class Format> INLINE F add_products(F acc, const Columns<Format>& w, const Converted& x) {
  const F d = set1(x.scale);
  if (Format::subs == 1) {
    const I start = iset1(-Format::bias * (x.sums[0] + x.sums[1]));
    acc = fma(to_float(dots<Format::most, Format::is_signed, 8>(start, w.q, x.q)), mul(w.scale[0], d), acc);
    if (Format::has_minimum) acc = fma(w.minimum[0], set1(-x.scaled_sum), acc);
    return acc;
  }
  for (int sub = 0; sub < Format::subs; sub++) {
    const I start = iset1(-Format::bias * x.sums[sub]);
    const I products = dots<Format::most, Format::is_signed, 4>(start, w.q + 4 * sub, x.q + 16 * sub);
    acc = fma(to_float(products), mul(w.scale[sub], d), acc);
    if (Format::has_minimum) acc = fma(w.minimum[sub], set1(-(x.scale * (float)x.sums[sub])), acc);
  }
  return acc;
}

/** What a group gives: 16 values of a row. */
INLINE void finish(const LinearStep& s, const Context& c, u32 n, u32 row, const F* acc) {
  float* y = row_at(at<float>(c, s.y), s.yStride, n) + row;
  const float* residual = s.residual ? row_at(at<const float>(c, s.residual), s.residualStride, n) + row : nullptr;
  if (row + group_rows <= s.matrixRows) {
    for (u32 i = 0; i < slices; i++) {
      store(y + L * i, residual ? add(acc[i], load(residual + L * i)) : acc[i]);
    }
    return;
  }
  float values[group_rows];
  for (u32 i = 0; i < slices; i++) store(values + L * i, acc[i]);
  for (u32 i = 0; row + i < s.matrixRows; i++) y[i] = residual ? values[i] + residual[i] : values[i];
}

/** Weights as they are stored, and N rows from `first` on. */
template <class Format, u32 N> INLINE void few_rows(const LinearStep& s, const Context& c, u32 group, u32 first) {
  constexpr u32 per_block = Format::columns / 32;
  constexpr u32 ahead = 4096, lines = (Format::bytes / per_block + 63) / 64;
  const u32 blocks = s.columns / Format::columns;
  const u8* w = at<const u8>(c, s.weights) + (u64)(s.firstRow / group_rows + group) * blocks * Format::bytes;
  const Converted* x[N];
  F acc[N][slices];
  for (u32 n = 0; n < N; n++) {
    x[n] = (const Converted*)row_at(at<const float>(c, s.x), s.xStride, first + n);
    for (u32 i = 0; i < slices; i++) acc[n][i] = set1(0);
  }
  for (u32 b = 0; b < blocks; b++, w += Format::bytes) {
    for (u32 j = 0; j < per_block; j++) {
      if (N == 1) {
        for (u32 line = 0; line < lines; line++) prefetch(w + ahead + Format::bytes / per_block * j + 64 * line);
      }
      for (u32 i = 0; i < slices; i++) {
        Columns<Format> columns;
        Format::quants(w, j, i, columns.q);
        for (u32 sub = 0; sub < Format::subs; sub++) {
          columns.scale[sub] = Format::scale(w, j, sub, i);
          columns.minimum[sub] = Format::minimum(w, j, sub, i);
        }
        for (u32 n = 0; n < N; n++) acc[n][i] = add_products<Format>(acc[n][i], columns, x[n][per_block * b + j]);
      }
    }
  }
  for (u32 n = 0; n < N; n++) finish(s, c, first + n, group_rows * group, acc[n]);
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

/** Expanded weights, and N rows from `first` on. */
template <class Format, u32 N>
INLINE void many_rows(const LinearStep& s, const Context& c, const u8* expanded, u32 group, u32 first) {
  const Converted* x[N];
  for (u32 n = 0; n < N; n++) x[n] = (const Converted*)row_at(at<const float>(c, s.x), s.xStride, first + n);
  F acc[N][slices];
  for (u32 i = 0; i < slices; i++) {
    F sums[N];
    for (u32 n = 0; n < N; n++) sums[n] = set1(0);
    const u8* w = expanded;
    for (u32 b = 0; b < s.columns / 32; b++, w += expanded_bytes<Format>) {
      Columns<Format> columns;
      for (u32 k = 0; k < 8; k++) columns.q[k] = bload(w + 64 * k + slice_bytes(i));
      for (u32 sub = 0; sub < Format::subs; sub++) {
        const float* scales = (const float*)(w + 512) + L * i;
        columns.scale[sub] = load(scales + 16 * sub);
        if (Format::has_minimum) columns.minimum[sub] = load(scales + 16 * (Format::subs + sub));
      }
      for (u32 n = 0; n < N; n++) sums[n] = add_products<Format>(sums[n], columns, x[n][b]);
    }
    for (u32 n = 0; n < N; n++) acc[n][i] = sums[n];
  }
  for (u32 n = 0; n < N; n++) finish(s, c, first + n, group_rows * group, acc[n]);
}

/** Rows that are multiplied with weights as they are stored. */
constexpr u32 few = 4;
/** Rows that are multiplied together otherwise. */
constexpr u32 together = L == 16 ? 8 : 4;

template <class Format> void linear_int8(const LinearStep& s, const Context& c) {
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, blocks = s.columns / Format::columns;
  // Units of about 128 KiB of weights, or of one group where there is more to do with it.
  const u32 at_once = s.rows > few ? 1 : most(1, 131072 / (blocks * Format::bytes));
  const u32 units = (groups + at_once - 1) / at_once;
  for (u32 unit; c.next(units, unit);) {
    for (u32 group = unit * at_once; group < least(groups, (unit + 1) * at_once); group++) {
      if (s.rows <= few) {
        if (s.rows == 1) few_rows<Format, 1>(s, c, group, 0);
        if (s.rows == 2) few_rows<Format, 2>(s, c, group, 0);
        if (s.rows == 3) few_rows<Format, 3>(s, c, group, 0);
        if (s.rows == 4) few_rows<Format, 4>(s, c, group, 0);
        continue;
      }
      const u64 index = s.firstRow / group_rows + group;
      expand<Format>(at<const u8>(c, s.weights) + index * blocks * Format::bytes, blocks, c.scratch);
      u32 n = 0;
      for (; n + together <= s.rows; n += together) many_rows<Format, together>(s, c, c.scratch, group, n);
      for (; n + 2 <= s.rows; n += 2) many_rows<Format, 2>(s, c, c.scratch, group, n);
      if (n < s.rows) many_rows<Format, 1>(s, c, c.scratch, group, n);
    }
  }
}

}  // namespace KERNELS
