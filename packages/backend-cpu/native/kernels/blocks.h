// Where keys and values of sequences lie, and how they are read.
//
// A block holds 32 positions. Of each attention, behind `before` values of each position of those before: keys
// [G, d, 32], so that scores of neighbouring positions are neighbours, then values [G, 32, d].
//
// In q8_0 each 32 values of a head at a position are bytes times a scale in f16: of a head first the bytes, in the same
// order, then the scales [d / 32, 32].
#pragma once
#include "common.h"

namespace KERNELS {

constexpr u32 block_positions = 32;

/** Bytes of a value at the positions of a block; of q8_0 with its part of a scale. */
INLINE u32 line_bytes(u32 format) { return format == format_f32 ? 128 : format == format_q8_0 ? 34 : 64; }

/** The block of a position of a sequence. */
INLINE u8* block_of(const Context& c, const Sequence& sequence, u32 position) {
  const u32 block = at<const u32>(c, sequence.table)[position / block_positions];
  return at<u8>(c, sequence.pool) + sequence.blockBytes * block;
}

/** Keys of a head in a block [d, 32]; before: values of a position that lie before this attention's. */
INLINE u64 keys_at(u32 format, u32 before, u32 head_dim, u32 head) {
  return (u64)line_bytes(format) * (before + head * head_dim);
}

/** Values of a head in a block [32, d]. */
INLINE u64 values_at(u32 format, u32 before, u32 head_dim, u32 kv_heads, u32 head) {
  return keys_at(format, before + kv_heads * head_dim, head_dim, head);
}

/** Asks for the bytes that will be read next. */
INLINE void read_ahead(const u8* next, u32 bytes) {
  for (u32 i = 0; i < bytes; i += 64) prefetch(next + i);
}

/** `count` values of two bytes as f32, a multiple of 32; as many at `next` are asked for. */
template <u32 Format> INLINE void expand_halves(const u8* from, u32 count, const u8* next, float* to) {
  for (u32 i = 0; i < count; i += 32) {
    prefetch(next + 2 * i);
    for (u32 k = i; k < i + 32; k += L) {
      store(to + k, Format == format_f16 ? load_f16((const u16*)from + k) : load_bf16((const u16*)from + k));
    }
  }
}

INLINE float get(const u8* p, u32 format, u64 index) {
  if (format == format_f32) return ((const float*)p)[index];
  return format == format_f16 ? from_f16(((const u16*)p)[index]) : from_bf16(((const u16*)p)[index]);
}

/** Lines of a head's values as f32 have a whole number of registers. */
INLINE u32 padded(u32 head_dim) { return (head_dim + L - 1) / L * L; }

/** Keys of a head in a block as f32 [d, 32], where they lie or in `to`; what is read next lies at `next`. */
static const float* expand_keys(u32 format, const u8* from, u32 head_dim, const u8* next, float* to) {
  const u32 count = block_positions * head_dim;
  if (format == format_f32) {
    read_ahead(next, 4 * count);
    return (const float*)from;
  }
  if (format == format_f16) expand_halves<format_f16>(from, count, next, to);
  if (format == format_bf16) expand_halves<format_bf16>(from, count, next, to);
  if (format != format_q8_0) return to;
  const u16* scales = (const u16*)(from + count);
  for (u32 i = 0; i < count; i += block_positions) {
    prefetch(next + i);
    for (u32 k = 0; k < block_positions; k += L) {
      const F scale = load_f16(scales + i / 32 / 32 * 32 + k);
      store(to + i + k, mul(to_float(iload_i8(from + i + k)), scale));
    }
  }
  return to;
}

/** Values of a head in a block as f32 [32, padded(d)]. */
static const float* expand_values(u32 format, const u8* from, u32 head_dim, const u8* next, float* to) {
  const u32 width = padded(head_dim), count = block_positions * head_dim;
  if (format == format_q8_0) {
    float scales[512];
    for (u32 i = 0; i < head_dim; i += L) store(scales + i, load_f16((const u16*)(from + count) + i));
    for (u32 i = 0; i < block_positions; i++) {
      for (u32 k = 0; k < head_dim; k += 32) {
        const F scale = set1(scales[k + i]);
        prefetch(next + head_dim * i + k);
        for (u32 j = k; j < k + 32; j += L) {
          store(to + head_dim * i + j, mul(to_float(iload_i8(from + head_dim * i + j)), scale));
        }
      }
    }
    return to;
  }
  if (width == head_dim) return expand_keys(format, from, head_dim, next, to);
  for (u32 i = 0; i < block_positions; i++) {
    for (u32 k = 0; k < width; k++) to[width * i + k] = k < head_dim ? get(from, format, head_dim * i + k) : 0.0f;
  }
  return to;
}

}  // namespace KERNELS
