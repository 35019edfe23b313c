// Attention of rows over the keys and values of their sequences, up to their own position.
//
// Keys are taken in parts of 256, counted from position 0. Of a part a row's head has the largest score, the sum of
// e^(score - largest) and the values weighted by these; parts are joined in order. So a row's result is the same
// whatever rows are computed with it, and whether its parts are computed one after another or apart.
//
// The heads of a group of all rows that are computed together are items: keys and values are read once for all of them.
#pragma once
#include "blocks.h"
#include "math.h"
#include "products.h"

namespace KERNELS {

/** Items that are computed together. */
constexpr u32 most_items = 48;

/** Words from item to item of queries and of scores: no power of two, so that they do not meet in the same sets. */
constexpr u32 q_stride = 512 + 16, score_stride = part_keys + 16;

/** The result of parts: values weighted by e^(score - largest), and the sum of these weights. */
struct Softmax {
  float largest, sum;
};

/** Joins the result of the next part to that of those before. */
INLINE void join(Softmax& a, float* a_values, const Softmax& b, const float* b_values, u32 width) {
  const float largest = b.largest > a.largest ? b.largest : a.largest;
  const F a_factor = exp(set1(a.largest - largest)), b_factor = exp(set1(b.largest - largest));
  float a_lanes[L], b_lanes[L];
  store(a_lanes, a_factor);
  store(b_lanes, b_factor);
  a.largest = largest;
  a.sum = a.sum * a_lanes[0] + b.sum * b_lanes[0];
  for (u32 i = 0; i < width; i += L) {
    store(a_values + i, add(mul(load(a_values + i), a_factor), mul(load(b_values + i), b_factor)));
  }
}

/** y = values / sum. */
INLINE void finish(const Softmax& a, float* values, u32 head_dim, float* y) {
  for (u32 i = 0; i < head_dim; i += L) store(values + i, div(load(values + i), set1(a.sum)));
  __builtin_memcpy(y, values, 4 * head_dim);
}

/** scores [count], count <= 256: become e^(scale score - largest), zeros up to a multiple of 16. */
INLINE Softmax weights_of(float* scores, u32 count, float scale) {
  const u32 end = (count + 15) / 16 * 16;
  for (u32 i = count; i < end; i++) scores[i] = -__builtin_inff();
  F lines[16 / L];
  for (u32 k = 0; k < 16 / L; k++) lines[k] = load(scores + L * k);
  for (u32 i = 16; i < end; i += 16) {
    for (u32 k = 0; k < 16 / L; k++) lines[k] = max(lines[k], load(scores + i + L * k));
  }
  float lanes[16];
  for (u32 k = 0; k < 16 / L; k++) store(lanes + L * k, lines[k]);
  for (u32 half = 8; half > 0; half /= 2) {
    for (u32 k = 0; k < half; k++) lanes[k] = lanes[k] > lanes[k + half] ? lanes[k] : lanes[k + half];
  }
  const float largest = lanes[0] * scale;
  for (u32 k = 0; k < 16 / L; k++) lines[k] = set1(0);
  for (u32 i = 0; i < end; i += 16) {
    for (u32 k = 0; k < 16 / L; k++) {
      const F weight = exp_weight(fma(load(scores + i + L * k), set1(scale), set1(-largest)));
      store(scores + i + L * k, weight);
      if (i + 16 <= count) lines[k] = add(lines[k], weight);
    }
  }
  for (u32 k = 0; k < 16 / L; k++) store(lanes + L * k, lines[k]);
  for (u32 i = count & ~15u; i < end; i++) {
    if (i < count) lanes[i & 15] += scores[i];
    else scores[i] = 0;
  }
  for (u32 half = 8; half > 0; half /= 2) {
    for (u32 k = 0; k < half; k++) lanes[k] += lanes[k + half];
  }
  return {largest, lanes[0]};
}

/** What one thread computes at once: items of one group of heads of one sequence, and some parts of their keys. */
struct Items {
  const Sequence* sequence;
  u32 group, first, count, first_part, end_part;
};

INLINE u32 group_size(const AttentionStep& s) { return s.heads / s.kvHeads; }

/** Keys that an item sees. */
INLINE u32 length_of(const Context& c, const AttentionStep& s, const Sequence& sequence, u32 item) {
  return at<const Row>(c, c.run->rows)[sequence.first + item / group_size(s)].position + 1;
}

/** The number of words of a part's result of one head. */
INLINE u32 partial_words(u32 head_dim) { return (head_dim + 15) / 16 * 16 + 16; }

/** Memory of a thread that computes items. */
struct Tables {
  float *q, *scores, *values, *part_values, *expanded;
  u32 lengths[most_items];
  Softmax results[most_items];
};

INLINE Tables tables_in(u8* scratch, u32 head_dim) {
  Tables t;
  const u32 width = padded(head_dim);
  float* p = (float*)scratch;
  t.q = p;
  t.values = t.q + most_items * q_stride;
  t.part_values = t.values + most_items * width;
  t.scores = t.part_values + most_items * width;
  t.expanded = t.scores + most_items * score_stride;
  return t;
}

/** Scores of a part's keys: from the first item on that sees a block. */
INLINE void score(const Context& c, const AttentionStep& s, const Items& w, const Tables& t, u32 begin, u32 end) {
  const Sequence& sequence = *w.sequence;
  const u64 offset = keys_at(sequence.format, s.before, s.headDim, w.group);
  u32 first = 0;
  for (u32 b = begin; b < end; b += block_positions) {
    while (t.lengths[first] <= b) first++;
    const u8* from = block_of(c, sequence, b) + offset;
    const bool last = b + block_positions >= end;
    const u64 next_group = last ? (u64)line_bytes(sequence.format) * s.kvHeads * s.headDim : 0;
    const u8* next = block_of(c, sequence, last ? begin : b + block_positions) + offset + next_group;
    const float* keys = expand_keys(sequence.format, from, s.headDim, next, t.expanded);
    const Product p = {t.q + first * q_stride, keys, block_positions, s.headDim,
                       t.scores + first * score_stride + (b - begin), score_stride, true};
    product<q_stride>(p, w.count - first, block_positions);
  }
}

/** Values of a part's keys, weighted: from the first item on that sees a block. */
INLINE void weigh(const Context& c, const AttentionStep& s, const Items& w, const Tables& t, u32 begin, u32 end,
                  float* to) {
  const Sequence& sequence = *w.sequence;
  const u32 width = padded(s.headDim);
  const u64 offset = values_at(sequence.format, s.before, s.headDim, s.kvHeads, w.group);
  u32 first = 0;
  for (u32 b = begin; b < end; b += block_positions) {
    while (t.lengths[first] <= b) first++;
    const u8* from = block_of(c, sequence, b) + offset;
    const u8* next = b + block_positions >= end ? from : block_of(c, sequence, b + block_positions) + offset;
    const float* values = expand_values(sequence.format, from, s.headDim, next, t.expanded);
    // Items that see all of the keys, then those that end among them: keys that all of a few see, then what each sees.
    u32 i = first;
    while (i < w.count) {
      const u32 seen = least(t.lengths[i] - b, block_positions);
      u32 n = seen == block_positions ? w.count - i : least(8, w.count - i);
      Product p = {t.scores + i * score_stride + (b - begin), values, width, seen, to + i * width, width, b == begin};
      product<score_stride>(p, n, width);
      for (u32 k = i + 1; k < i + n; k++) {
        const u32 sees = least(t.lengths[k] - b, block_positions);
        if (sees == seen) continue;
        u32 same = 1;
        while (k + same < i + n && t.lengths[k + same] == t.lengths[k]) same++;
        p = {t.scores + k * score_stride + (b - begin) + seen, values + seen * width, width, sees - seen,
             to + k * width, width, false};
        product<score_stride>(p, same, width);
        k += same - 1;
      }
      i += n;
    }
  }
}

/** Where the result of a part of an item goes, if parts are computed apart. */
INLINE float* partial_of(const AttentionStep& s, const Items& w, u32 item, u32 part, u32 parts, float* partials) {
  const u32 row = item / group_size(s), head = w.group * group_size(s) + item % group_size(s);
  return partials + (u64)partial_words(s.headDim) * (((u64)row * parts + part) * s.heads + head);
}

static void attend(const Context& c, const AttentionStep& s, const Items& w, u32 parts, float* partials) {
  Tables t = tables_in(c.scratch, s.headDim);
  const u32 width = padded(s.headDim), size = group_size(s);
  const float scale = 1.0f / __builtin_sqrtf((float)s.headDim);
  for (u32 i = 0; i < w.count; i++) {
    const u32 item = w.first + i, head = w.group * size + item % size;
    t.lengths[i] = length_of(c, s, *w.sequence, item);
    const float* q = row_at(at<const float>(c, s.q), s.qStride, w.sequence->first + item / size) + head * s.headDim;
    __builtin_memcpy(t.q + i * q_stride, q, 4 * s.headDim);
  }
  const u32 longest = t.lengths[w.count - 1];
  for (u32 part = w.first_part; part < w.end_part; part++) {
    const u32 begin = part * part_keys, end = least(begin + part_keys, longest);
    if (begin >= end) break;
    float* values = part == w.first_part ? t.values : t.part_values;
    score(c, s, w, t, begin, end);
    Softmax results[most_items];
    for (u32 i = 0; i < w.count; i++) {
      if (t.lengths[i] <= begin) continue;
      results[i] = weights_of(t.scores + i * score_stride, least(t.lengths[i], end) - begin, scale);
    }
    weigh(c, s, w, t, begin, end, values);
    for (u32 i = 0; i < w.count; i++) {
      if (t.lengths[i] <= begin) continue;
      if (part == w.first_part) t.results[i] = results[i];
      else join(t.results[i], t.values + i * width, results[i], values + i * width, width);
    }
  }
  for (u32 i = 0; i < w.count; i++) {
    const u32 item = w.first + i, head = w.group * size + item % size;
    if (partials == nullptr) {
      float* y = row_at(at<float>(c, s.y), s.yStride, w.sequence->first + item / size) + head * s.headDim;
      finish(t.results[i], t.values + i * width, s.headDim, y);
    } else if (t.lengths[i] > w.first_part * part_keys) {
      float* to = partial_of(s, w, item, w.first_part, parts, partials);
      __builtin_memcpy(to, &t.results[i], sizeof(Softmax));
      __builtin_memcpy(to + 16, t.values + i * width, 4 * s.headDim);
    }
  }
}

/** A sequence's units of work, and the words of its partial results. */
struct Split {
  u32 parts, tiles, units;
  u64 words;
};

INLINE Split split_of(const Context& c, const AttentionStep& s, const Sequence& sequence) {
  if (sequence.rows == 0) return {1, 0, 0, 0};
  const u32 items = sequence.rows * group_size(s), tiles = (items + most_items - 1) / most_items;
  const u32 length = length_of(c, s, sequence, items - 1), parts = (length + part_keys - 1) / part_keys;
  if (sequence.rows > split_rows || parts == 1) return {1, tiles, tiles * s.kvHeads, 0};
  return {parts, tiles, parts * tiles * s.kvHeads, (u64)partial_words(s.headDim) * sequence.rows * parts * s.heads};
}

static void attention(const Context& c, const void* step) {
  const AttentionStep& s = *(const AttentionStep*)step;
  const Sequence* sequences = at<const Sequence>(c, c.run->sequences);
  u32 units = 0;
  for (u32 i = 0; i < c.run->sequenceCount; i++) units += split_of(c, s, sequences[i]).units;
  for (u32 unit; c.next(units, unit);) {
    const Sequence* sequence = sequences;
    float* partials = at<float>(c, c.run->partials);
    Split split = split_of(c, s, *sequence);
    for (; unit >= split.units; split = split_of(c, s, *++sequence)) {
      unit -= split.units;
      partials += split.words;
    }
    // Heads of one part lie side by side, and tiles of one head read the same keys; those with most keys come first.
    const u32 items = sequence->rows * group_size(s), parts = split.parts;
    const u32 tile = parts > 1 ? unit / s.kvHeads % split.tiles : split.tiles - 1 - unit % split.tiles;
    const u32 group = parts > 1 ? unit % s.kvHeads : unit / split.tiles, part = unit / s.kvHeads / split.tiles;
    Items w = {sequence, group, tile * most_items, least(most_items, items - tile * most_items), 0, ~0u};
    if (parts > 1) w.first_part = part, w.end_part = part + 1;
    attend(c, s, w, parts, parts > 1 ? partials : nullptr);
  }
}

/** Joins what was computed apart. */
static void combine(const Context& c, const void* step) {
  const AttentionStep& s = *(const AttentionStep*)step;
  const Sequence* sequences = at<const Sequence>(c, c.run->sequences);
  u32 rows = 0;
  for (u32 i = 0; i < c.run->sequenceCount; i++) {
    if (split_of(c, s, sequences[i]).parts > 1) rows += sequences[i].rows;
  }
  for (u32 unit; c.next(rows * s.heads, unit);) {
    const Sequence* sequence = sequences;
    float* partials = at<float>(c, c.run->partials);
    u32 row = unit / s.heads;
    Split split = split_of(c, s, *sequence);
    for (;;) {
      if (split.parts > 1) {
        if (row < sequence->rows) break;
        row -= sequence->rows;
        partials += split.words;
      }
      split = split_of(c, s, *++sequence);
    }
    const u32 head = unit % s.heads, length = length_of(c, s, *sequence, row * group_size(s));
    const u64 stride = (u64)partial_words(s.headDim) * s.heads;
    float* first = partials + stride * row * split.parts + partial_words(s.headDim) * head;
    Softmax& result = *(Softmax*)first;
    for (u32 part = 1; part * part_keys < length; part++) {
      const float* next = first + stride * part;
      join(result, first + 16, *(const Softmax*)next, next + 16, padded(s.headDim));
    }
    float* y = row_at(at<float>(c, s.y), s.yStride, sequence->first + row) + head * s.headDim;
    finish(result, first + 16, s.headDim, y);
  }
}

}  // namespace KERNELS
