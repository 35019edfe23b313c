// Weights as f32: what a group's quants stand for, columns behind one another [columns, 16].
#pragma once
#include "format.h"

namespace KERNELS {

/** 32 columns of a slice; `to` is the first column's first row of the group. */
template <class Format> INLINE void values_of(const u8* w, u32 j, u32 slice, float* to) {
  constexpr bool flips = Format::is_signed && !shifts_signed;
  const F bias = set1(Format::is_signed ? 128 : Format::bias);
  B q[8];
  Format::quants(w, j, slice, q);
  for (u32 i = 0; i < 8; i++) {
    const u32 half = Format::subs == 2 ? i / 4 : 0;
    const F scale = Format::scale(w, j, half, slice), minimum = Format::minimum(w, j, half, slice);
    const I four = words(flips ? bxor(q[i], bset1(128)) : q[i]);
    for (u32 column = 0; column < 4; column++) {
      const F value = mul(scale, sub(to_float(iand(ishr_by(four, 8 * column), 255)), bias));
      store(to + group_rows * (4 * i + column) + L * slice, Format::has_minimum ? sub(value, minimum) : value);
    }
  }
}

/** A group of 16 rows: all its columns, or those of some blocks. */
template <class Format> INLINE void group_values(const u8* w, u32 blocks, float* to) {
  for (u32 b = 0; b < blocks; b++, w += Format::bytes) {
    if constexpr (Format::columns == 1) {
      for (u32 i = 0; i < slices; i++) store(to + L * i, Format::value(w, i));
      to += group_rows;
    } else {
      for (u32 j = 0; j < Format::columns / 32; j++, to += 32 * group_rows) {
        for (u32 i = 0; i < slices; i++) values_of<Format>(w, j, i, to);
      }
    }
  }
}

}  // namespace KERNELS
