// The write of keys and values into the blocks of their sequences, and the rotation of keys and queries before it.
//
// A unit is a group of heads at the positions of a run in one block: a row has as many units as there are kv heads, and
// of a prompt whole lines of keys are written.
#pragma once
#include "blocks.h"
#include "rope.h"

namespace KERNELS {

/** `count` neighbouring values from `index` on. */
INLINE void put(u8* p, u32 format, u64 index, const float* x, u32 count) {
  u32 i = 0;
  if (format == format_f32) {
    float* to = (float*)p + index;
    for (; i + L <= count; i += L) store(to + i, load(x + i));
    for (; i < count; i++) to[i] = x[i];
  } else if (format == format_f16) {
    u16* to = (u16*)p + index;
    for (; i + L <= count; i += L) store_f16(to + i, load(x + i));
    for (; i < count; i++) to[i] = to_f16(x[i]);
  } else {
    u16* to = (u16*)p + index;
    for (; i < count; i++) to[i] = to_bf16(x[i]);
  }
}

/** 32 values as bytes times the scale that takes the largest to 127, rounded to f16. */
INLINE u16 quantize(const float* x, i8* q) {
  F largest = set1(0), strange = set1(0);  // the difference of what is not finite from itself is NaN
  for (u32 i = 0; i < 32; i += L) {
    const F v = load(x + i);
    largest = max(largest, abs(v));
    strange = add(strange, sub(v, v));
  }
  float lanes[2][L], top = 0, not_finite = 0;
  store(lanes[0], largest);
  store(lanes[1], strange);
  for (u32 i = 0; i < L; i++) top = lanes[0][i] > top ? lanes[0][i] : top, not_finite += lanes[1][i];
  const u16 scale = to_f16(top / 127.0f + not_finite);
  const F divisor = set1(from_f16(scale)), magic = set1(0x1.8p23f);
  i32 rounded[32];
  for (u32 i = 0; i < 32; i += L) {
    const F v = min(set1(127), max(set1(-127), div(load(x + i), divisor)));
    istore(rounded + i, isub(as_int(add(v, magic)), as_int(magic)));
  }
  for (u32 i = 0; i < 32; i++) q[i] = scale == 0 ? (i8)0 : (i8)rounded[i];
  return scale;
}

/** One head of `count` neighbouring positions of a block, [count] rows of k and v at `stride`. */
INLINE void write_quantized(u8* keys, u8* values, u32 d, u32 place, u32 row, const float* k, const float* v) {
  u16* key_scales = (u16*)(keys + block_positions * d);
  u16* value_scales = (u16*)(values + block_positions * d);
  const u32 position = place + row;
  for (u32 i = 0; i < d; i += 32) {
    i8 q[32];
    key_scales[i + position] = quantize(k + i, q);
    for (u32 j = 0; j < 32; j++) keys[block_positions * (i + j) + position] = (u8)q[j];
    value_scales[i + position] = quantize(v + i, q);
    for (u32 j = 0; j < 32; j++) values[d * position + i + j] = (u8)q[j];
  }
}

/** A group of heads at `count` rows from `first` on, whose positions lie in one block. */
static void write_group(const Context& c, const CacheStep& s, const Sequence& sequence, u32 group, u32 first,
                        u32 count) {
  const u32 d = s.headDim, position = at<const Row>(c, c.run->rows)[first].position, place = position % block_positions;
  u8* block = block_of(c, sequence, position);
  u8* keys = block + keys_at(sequence.format, s.before, d, group);
  u8* values = block + values_at(sequence.format, s.before, d, s.kvHeads, group);
  float rotated[512];
  float* lines = (float*)c.scratch;  // [d, 32]
  for (u32 i = 0; i < count; i++) {
    const u32 n = first + i;
    const float* k = row_at(at<const float>(c, s.k), s.kStride, n) + group * d;
    const float* v = row_at(at<const float>(c, s.v), s.vStride, n) + group * d;
    if (s.kRotation != unrotated) {
      rotate(k, angles_of(c, n, s.kRotation), d, d, rotated);
      k = rotated;
    }
    if (sequence.format == format_q8_0) {
      write_quantized(keys, values, d, place, i, k, v);
    } else {
      put(values, sequence.format, d * (place + i), v, d);
      if (count == 1) for (u32 j = 0; j < d; j++) put(keys, sequence.format, block_positions * j + place, k + j, 1);
      else for (u32 j = 0; j < d; j++) lines[block_positions * j + i] = k[j];
    }
    if (s.rotatedQ == 0) continue;
    const u32 width = s.heads / s.kvHeads * d;
    const float* q = row_at(at<const float>(c, s.q), s.qStride, n) + group * width;
    float* rotated = row_at(at<float>(c, s.rotatedQ), s.rotatedQStride, n) + group * width;
    rotate(q, angles_of(c, n, s.qRotation), width, d, rotated);
  }
  if (count == 1 || sequence.format == format_q8_0) return;
  for (u32 j = 0; j < d; j++) {
    put(keys, sequence.format, block_positions * j + place, lines + block_positions * j, count);
  }
}

/** Blocks in which the rows of a sequence lie. */
INLINE u32 blocks_written(const Context& c, const Sequence& sequence) {
  if (sequence.rows == 0) return 0;
  const u32 start = at<const Row>(c, c.run->rows)[sequence.first].position;
  return (start + sequence.rows - 1) / block_positions - start / block_positions + 1;
}

static void cache(const Context& c, const void* step) {
  const CacheStep& s = *(const CacheStep*)step;
  const Sequence* sequences = at<const Sequence>(c, c.run->sequences);
  u32 blocks = 0;
  for (u32 i = 0; i < c.run->sequenceCount; i++) blocks += blocks_written(c, sequences[i]);
  for (u32 unit; c.next(blocks * s.kvHeads, unit);) {
    const Sequence* sequence = sequences;
    u32 block = unit / s.kvHeads;
    for (u32 own; block >= (own = blocks_written(c, *sequence)); sequence++) block -= own;
    const u32 place = at<const Row>(c, c.run->rows)[sequence->first].position % block_positions;
    const u32 start = block == 0 ? 0 : block * block_positions - place;
    const u32 end = least((block + 1) * block_positions - place, sequence->rows);
    write_group(c, s, *sequence, unit % s.kvHeads, sequence->first + start, end - start);
  }
}

}  // namespace KERNELS
