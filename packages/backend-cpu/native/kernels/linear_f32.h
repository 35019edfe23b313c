// y = x W^T + residual in f32: of float weights, and of quantized ones whose input is not rounded. Columns are summed
// in their order, each row by itself, whatever else is computed with it.
#pragma once
#include "linear_int8.h"
#include "values.h"

namespace KERNELS {

/** Rows that meet floats as they are stored; rows whose products are summed at once otherwise. */
constexpr u32 few_f32 = L == 16 ? 8 : 4, f32_tile_rows = L == 16 ? 8 : 6;

/** acc += columns [count] of S slices, each column Format::bytes behind the one before, times x [N, Stride]. */
template <class Format, bool Ahead, class Stride, u32 N, u32 S>
INLINE void add_columns(F (&acc)[N][S], const u8* const (&weights)[S], const u32 (&slice)[S], const float* x,
                        Stride stride, u32 count) {
  constexpr u32 at_once = 4;
  const u8* w[S];
  for (u32 i = 0; i < S; i++) w[i] = weights[i];
  const auto add_column = [&](u32 k) INLINE_LAMBDA {
    F column[S];
    for (u32 i = 0; i < S; i++) column[i] = Format::value(w[i] + Format::bytes * k, slice[i]);
    for (u32 n = 0; n < N; n++) {
      const F value = set1(x[stride() * n + k]);
      for (u32 i = 0; i < S; i++) {
        acc[n][i] = fma(column[i], value, acc[n][i]);
        here(acc[n][i]);
      }
    }
  };
  u32 k = 0;
  for (; k + at_once <= count; k += at_once) {
    if (Ahead) {
      for (u32 byte = 0; byte < at_once * Format::bytes; byte += 64) prefetch(w[0] + 4096 + byte);
    }
    for (u32 i = 0; i < at_once; i++) add_column(i);
    x += at_once;
    for (u32 i = 0; i < S; i++) w[i] += at_once * Format::bytes;
  }
  for (u32 i = 0; i < count - k; i++) add_column(i);
}

/** Weights as they are stored, of one group. */
template <class Format> INLINE void f32_few(const LinearStep& s, const Context& c, const u8* w, u32 group) {
  constexpr u32 S = least(slices, 2);
  with_number<few_f32>(s.rows, [&](auto number) {
    constexpr u32 N = decltype(number)::value;
    for (u32 first = 0; first < slices; first += S) {
      F acc[N][S];
      const u8* weights[S];
      u32 slice[S];
      for (u32 i = 0; i < S; i++) {
        weights[i] = w, slice[i] = first + i;
        for (u32 n = 0; n < N; n++) acc[n][i] = set1(0);
      }
      const auto stride = [&] { return (u64)s.xStride; };
      add_columns<Format, true>(acc, weights, slice, at<const float>(c, s.x), stride, s.columns);
      for (u32 n = 0; n < N; n++) {
        for (u32 i = 0; i < S; i++) {
          const u32 row = group_rows * group + L * slice[i];
          if (row < s.matrixRows) finish(s, c, n, row, acc[n][i]);
        }
      }
    }
  });
}

/** Groups that rows are read for, and columns that they meet at once: few enough for the second cache. */
constexpr u32 f32_groups = 8;
template <class Format> constexpr u32 chunk_columns = most(128, Format::columns);
/** Rows whose sums are kept. */
constexpr u32 f32_most_rows = 1024;

/** Where rows meet columns of some groups, in f32. */
struct Columns {
  const LinearStep& step;
  const Context& context;
  /** Of each group. */
  const u8* weights[f32_groups];
  /** Sums of the columns before, [rows, groups, 16]. */
  float* sums;
  /** Room for columns of a tile of x: at their place in x, lines of many rows may fall on each other in the cache. */
  float* tile;
  u32 group, groups, first, count, rows;
  /** Of each group the weights that come next, and their lines of 64 bytes. */
  const u8* next[f32_groups];
  u32 next_lines;
};

/** N rows from `row` on, whose sums are those of row `place` on. */
template <u32 N, u32 Width> INLINE void f32_rows(const Columns& columns, u32 row, u32 place) {
  constexpr u32 S = tile_slices;
  const LinearStep& s = columns.step;
  constexpr u32 tile_stride = Width + 16;
  for (u32 n = 0; n < N; n++) {
    const float* x = row_at(at<const float>(columns.context, s.x), s.xStride, row + n) + columns.first;
    float* to = columns.tile + tile_stride * n;
    u32 k = 0;
    for (; k + 16 <= columns.count; k += 16) {
      for (u32 i = 0; i < 16; i += L) store(to + k + i, load(x + k + i));
    }
    for (; k < columns.count; k++) to[k] = x[k];
  }
  const bool begins = columns.first == 0, ends = columns.first + columns.count == s.columns;
  const u32 passes = (columns.groups * slices + S - 1) / S;
  for (u32 first = 0; first < passes * S; first += S) {
    // With each pass some of the next tile's rows are fetched, and of the weights behind these.
    for (u32 n = N * (first / S) / passes; n < N * (first / S + 1) / passes; n++) {
      const float* x = row_at(at<const float>(columns.context, s.x), s.xStride, row + N + n) + columns.first;
      for (u32 k = 0; k < columns.count; k += 16) prefetch(x + k);
    }
    const u32 end = columns.next_lines * (place + N) / columns.rows;
    for (u32 line = columns.next_lines * place / columns.rows; line < end; line++) {
      for (u32 i = first; i < first + S; i += slices) prefetch_far(columns.next[i / slices] + 64 * line);
    }
    F acc[N][S];
    const u8* weights[S];
    u32 slice[S];
    float* sums = columns.sums + (u64)group_rows * f32_groups * place + L * first;
    for (u32 i = 0; i < S; i++) {
      weights[i] = columns.weights[(first + i) / slices], slice[i] = (first + i) % slices;
      for (u32 n = 0; n < N; n++) acc[n][i] = begins ? set1(0) : load(sums + group_rows * f32_groups * n + L * i);
    }
    add_columns<F32, false>(acc, weights, slice, columns.tile, [] { return tile_stride; }, columns.count);
    for (u32 n = 0; n < N; n++) {
      for (u32 i = 0; i < S; i++) {
        const u32 weights_row = group_rows * columns.group + L * (first + i);
        if (!ends) {
          store(sums + group_rows * f32_groups * n + L * i, acc[n][i]);
        } else if (weights_row < s.matrixRows) {
          finish(s, columns.context, row + n, weights_row, acc[n][i]);
        }
      }
    }
  }
}

/** All rows from `first` on, in tiles. A function of its own, as all formats share it. */
template <u32 Width> __attribute__((noinline)) void f32_tiles(const Columns& columns, u32 first) {
  const u32 tiles = (columns.rows + f32_tile_rows - 1) / f32_tile_rows;
  for (u32 tile = 0; tile < tiles; tile++) {
    const u32 row = columns.rows * tile / tiles, end = columns.rows * (tile + 1) / tiles;
    const auto work = [&](auto n) { f32_rows<decltype(n)::value, Width>(columns, first + row, row); };
    with_number<f32_tile_rows>(end - row, work);
  }
}

template <class Format> void linear_f32(const LinearStep& s, const Context& c) {
  const u32 groups = (s.matrixRows + group_rows - 1) / group_rows, blocks = s.columns / Format::columns;
  const u64 group_bytes = (u64)blocks * Format::bytes;
  const u8* weights = at<const u8>(c, s.weights) + s.firstRow / group_rows * group_bytes;
  if constexpr (Format::columns == 1) {
    if (s.rows <= few_f32) {
      const u32 at_once = most(1, 131072 / (u32)group_bytes);
      for (u32 unit; c.next((groups + at_once - 1) / at_once, unit);) {
        for (u32 group = unit * at_once; group < least(groups, (unit + 1) * at_once); group++) {
          f32_few<Format>(s, c, weights + group * group_bytes, group);
        }
      }
      return;
    }
  }
  constexpr u32 width = chunk_columns<Format>;
  float* expanded = (float*)c.scratch;
  float* tile = expanded + f32_groups * width * group_rows;
  float* sums = tile + f32_tile_rows * (width + 16);
  // A share of each thread, in whole tiles: what a tile has beyond the groups of its unit is written too.
  static_assert(f32_groups % together == 0, "units are whole tiles");
  const u32 share = (groups + c.threads - 1) / c.threads;
  const u32 at_once = least(f32_groups, (share + together - 1) / together * together);
  for (u32 unit; c.next((groups + at_once - 1) / at_once, unit);) {
    const u32 group = unit * at_once, count = least(at_once, groups - group);
    for (u32 first = 0; first < s.rows; first += f32_most_rows) {
      const u32 rows = least(f32_most_rows, s.rows - first);
      Columns columns = {s, c, {}, sums, tile, group, count, 0, 0, rows, {}, 0};
      for (; columns.first < s.columns; columns.first += width) {
        columns.count = least(width, s.columns - columns.first);
        for (u32 i = 0; i < count; i++) {
          const u8* w = weights + (group + i) * group_bytes + (u64)(columns.first / Format::columns) * Format::bytes;
          columns.next[i] = w + columns.count / Format::columns * Format::bytes;
          float* values = expanded + i * width * group_rows;
          columns.weights[i] = Format::bytes == F32::bytes ? w : (const u8*)values;
          if (Format::bytes != F32::bytes) group_values<Format>(w, columns.count / Format::columns, values);
        }
        // Behind the matrix its last group's values stand in, and are not written.
        for (u32 i = count; i < f32_groups; i++) {
          columns.next[i] = columns.next[count - 1], columns.weights[i] = columns.weights[count - 1];
        }
        columns.next_lines = columns.count / Format::columns * Format::bytes / 64;
        f32_tiles<width>(columns, first);
      }
    }
  }
}

}  // namespace KERNELS
