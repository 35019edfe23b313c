// Attention within whole sequences, as training has it, and its gradient (FlashAttention, arXiv 2205.14135): blocks of
// queries meet blocks of keys, what stands in between is a block of scores, and the gradient computes weights again from
// the scores and the row's logSumExp. Whoever computes a sequence's head computes all of it, in one order.
#pragma once
#include "blocks.h"
#include "dense.h"
#include "math.h"

namespace KERNELS {

/** Rows and keys of a block, and rows whose scores are computed at once. */
constexpr u32 attention_block = 128, attention_rows = 32;

/** A head of some rows, scaled, in lines of whole registers [rows, padded(head_dim)]. */
static void take_head(const float* from, u32 stride, u32 rows, u32 head_dim, float scale, float* to) {
  const u32 width = padded(head_dim);
  for (u32 n = 0; n < rows; n++) {
    const float* x = row_at(from, stride, n);
    for (u32 i = 0; i < width; i += L) store(to + width * n + i, mul(load_part(x + i, head_dim - i), set1(scale)));
  }
}

/** Its transpose [head_dim, attention_block], zeros behind the rows. */
static void take_transposed(const float* from, u32 stride, u32 rows, u32 head_dim, float* to) {
  for (u32 n = 0; n < attention_block; n++) {
    const float* x = row_at(from, stride, n);
    for (u32 i = 0; i < head_dim; i++) to[attention_block * i + n] = n < rows ? x[i] : 0;
  }
}

/** Keys of a block that the last of some rows sees, in whole registers: all behind them stays away. */
INLINE u32 seen_by(u32 row_end, u32 key, u32 keys) { return padded(least(keys, row_end - key)); }

/** Scores of rows [rows, attention_block] become weights e^(score - largest), zeros behind what each row sees. */
struct Running {
  float largest, sum;
};
INLINE float weigh(float* scores, u32 seen, u32 end, Running& row) {
  for (u32 i = seen; i < end; i++) scores[i] = -__builtin_inff();
  F highest = load(scores);
  for (u32 i = L; i < end; i += L) highest = max(highest, load(scores + i));
  float lanes[L], largest = row.largest;
  store(lanes, highest);
  for (u32 i = 0; i < L; i++) largest = lanes[i] > largest ? lanes[i] : largest;
  const F shift = set1(largest);
  F sum = set1(0);
  for (u32 i = 0; i < end; i += L) {
    const F weight = exp_weight(sub(load(scores + i), shift));
    store(scores + i, weight);
  }
  for (u32 i = seen; i < end; i++) scores[i] = 0;
  for (u32 i = 0; i < end; i += L) sum = add(sum, load(scores + i));
  const float factor = row.sum == 0 ? 0 : exp_weight_of(row.largest - largest);
  row = {largest, row.sum * factor + sum_of(sum)};
  return factor;
}

static void sequence_attention(const Context& c, const void* step) {
  const SequenceAttentionStep& s = *(const SequenceAttentionStep*)step;
  const u32 width = padded(s.headDim), group = s.heads / s.kvHeads;
  float* q = (float*)c.scratch;
  float* keys = q + attention_block * width;  // [head_dim, attention_block]
  float* values = keys + attention_block * width;
  float* sums = values + attention_block * width;
  float* scores = sums + attention_block * width;
  const float scale = 1.0f / __builtin_sqrtf((float)s.headDim);
  for (u32 unit; c.next(c.run->sequenceCount * s.heads, unit);) {
    const Sequence& sequence = at<const Sequence>(c, c.run->sequences)[unit / s.heads];
    const u32 head = unit % s.heads, kv = head / group * s.headDim;
    const float* k = row_at(at<const float>(c, s.k), s.kStride, sequence.first) + kv;
    const float* v = row_at(at<const float>(c, s.v), s.kStride, sequence.first) + kv;
    for (u32 row = 0; row < sequence.rows; row += attention_block) {
      const u32 rows = least(attention_block, sequence.rows - row);
      const float* from = row_at(at<const float>(c, s.q), s.qStride, sequence.first + row) + head * s.headDim;
      take_head(from, s.qStride, rows, s.headDim, scale, q);
      Running running[attention_block];
      for (u32 n = 0; n < rows; n++) running[n] = {-__builtin_inff(), 0};
      for (u32 i = 0; i < rows * width; i++) sums[i] = 0;
      for (u32 key = 0; key < row + rows; key += attention_block) {
        const u32 count = least(attention_block, row + rows - key);
        take_transposed(row_at(k, s.kStride, key), s.kStride, count, s.headDim, keys);
        take_head(row_at(v, s.kStride, key), s.kStride, count, s.headDim, 1, values);
        for (u32 first = 0; first < rows; first += attention_rows) {
          const u32 some = least(attention_rows, rows - first), end = seen_by(row + first + some, key, count);
          dense({q + first * width, width, 1, keys, attention_block, s.headDim, scores, attention_block, true}, some, end);
          for (u32 n = 0; n < some; n++) {
            const u32 seen = least(count, row + first + n + 1 - key);
            const float factor = weigh(scores + attention_block * n, seen, end, running[first + n]);
            float* sum = sums + width * (first + n);
            for (u32 i = 0; i < width; i += L) store(sum + i, mul(load(sum + i), set1(factor)));
          }
          const u32 within = least(end, count);
          dense({scores, attention_block, 1, values, width, within, sums + first * width, width, false}, some, width);
        }
      }
      for (u32 n = 0; n < rows; n++) {
        float* y = row_at(at<float>(c, s.y), s.yStride, sequence.first + row + n) + head * s.headDim;
        const F sum = set1(running[n].sum);
        for (u32 i = 0; i < width; i += L) store_part(y + i, div(load(sums + width * n + i), sum), s.headDim - i);
        if (s.logSumExp == 0) continue;
        const float total = running[n].largest + natural_log(running[n].sum);
        row_at(at<float>(c, s.logSumExp), s.logSumExpStride, sequence.first + row + n)[head] = total;
      }
    }
  }
}

/** Where a head's gradients are computed: blocks of a thread's memory, [attention_block, width] unless said otherwise. */
struct GradBlocks {
  float *q, *cotangent, *keys, *transposed_keys, *transposed_values, *q_grad, *k_grad, *v_grad;
  /** [attention_block, attention_block] */
  float *weights, *scores;
  u32 width;
};

/** Rows meet keys: weights, and the cotangents of scores. */
INLINE void grad_scores(const AttentionGradStep& s, const Context& c, const GradBlocks& b, u32 first_row, u32 head,
                        u32 row, u32 rows, u32 key, u32 count) {
  for (u32 first = 0; first < rows; first += attention_rows) {
    const u32 some = least(attention_rows, rows - first), end = seen_by(row + first + some, key, count);
    float* weights = b.weights + attention_block * first;
    float* scores = b.scores + attention_block * first;
    dense({b.q + first * b.width, b.width, 1, b.transposed_keys, attention_block, s.headDim, weights, attention_block, true},
          some, end);
    dense({b.cotangent + first * b.width, b.width, 1, b.transposed_values, attention_block, s.headDim, scores,
           attention_block, true},
          some, end);
    for (u32 n = 0; n < some; n++, weights += attention_block, scores += attention_block) {
      const u32 at_row = first_row + row + first + n, seen = least(count, row + first + n + 1 - key);
      const float* out = row_at(at<const float>(c, s.out), s.qStride, at_row) + head * s.headDim;
      F product = set1(0);
      for (u32 i = 0; i < b.width; i += L) {
        product = fma(load_part(out + i, s.headDim - i), load(b.cotangent + b.width * (first + n) + i), product);
      }
      const F mean = set1(sum_of(product));
      const F total = set1(row_at(at<const float>(c, s.logSumExp), s.logSumExpStride, at_row)[head]);
      for (u32 i = 0; i < end; i += L) {
        const F weight = exp_weight(sub(load(weights + i), total));
        store(weights + i, weight);
        store(scores + i, mul(weight, sub(load(scores + i), mean)));
      }
      for (u32 i = seen; i < attention_block; i++) weights[i] = scores[i] = 0;
    }
  }
}

static void attention_grad(const Context& c, const void* step) {
  const AttentionGradStep& s = *(const AttentionGradStep*)step;
  const u32 width = padded(s.headDim), group = s.heads / s.kvHeads, block = attention_block * width;
  float* p = (float*)c.scratch;
  const auto next = [&](u32 words) INLINE_LAMBDA { return p += words, p - words; };
  const GradBlocks b = {next(block), next(block), next(block), next(block), next(block), next(block), next(block),
                        next(block), next(attention_block * attention_block), next(attention_block * attention_block),
                        width};
  const float scale = 1.0f / __builtin_sqrtf((float)s.headDim);
  for (u32 unit; c.next(c.run->sequenceCount * s.kvHeads, unit);) {
    const Sequence& sequence = at<const Sequence>(c, c.run->sequences)[unit / s.kvHeads];
    const u32 kv = unit % s.kvHeads * s.headDim;
    const auto rows_of = [&](u64 ref, u32 stride, u32 row) INLINE_LAMBDA {
      return row_at(at<float>(c, ref), stride, sequence.first + row);
    };
    for (u32 key = 0; key < sequence.rows; key += attention_block) {
      const u32 count = least(attention_block, sequence.rows - key);
      const float* k = rows_of(s.k, s.kStride, key) + kv;
      take_head(k, s.kStride, count, s.headDim, 1, b.keys);
      take_transposed(k, s.kStride, count, s.headDim, b.transposed_keys);
      take_transposed(rows_of(s.v, s.kStride, key) + kv, s.kStride, count, s.headDim, b.transposed_values);
      for (u32 i = 0; i < block; i++) b.k_grad[i] = b.v_grad[i] = 0;
      for (u32 i = 0; i < group; i++) {
        const u32 head = unit % s.kvHeads * group + i;
        for (u32 row = key; row < sequence.rows; row += attention_block) {
          const u32 rows = least(attention_block, sequence.rows - row), place = head * s.headDim;
          take_head(rows_of(s.q, s.qStride, row) + place, s.qStride, rows, s.headDim, scale, b.q);
          take_head(rows_of(s.cotangent, s.qStride, row) + place, s.qStride, rows, s.headDim, 1, b.cotangent);
          grad_scores(s, c, b, sequence.first, head, row, rows, key, count);
          dense({b.weights, 1, attention_block, b.cotangent, width, rows, b.v_grad, width, false}, count, width);
          dense({b.scores, 1, attention_block, b.q, width, rows, b.k_grad, width, false}, count, width);
          dense({b.scores, attention_block, 1, b.keys, width, count, b.q_grad, width, true}, rows, width);
          for (u32 n = 0; n < rows; n++) {
            float* y = rows_of(s.qGrad, s.qStride, row + n) + place;
            for (u32 j = 0; j < width; j += L) {
              const F before = key > 0 ? load_part(y + j, s.headDim - j) : set1(0);
              store_part(y + j, fma(load(b.q_grad + width * n + j), set1(scale), before), s.headDim - j);
            }
          }
        }
      }
      for (u32 n = 0; n < count; n++) {
        for (u32 j = 0; j < width; j += L) {
          store_part(rows_of(s.kGrad, s.kStride, key + n) + kv + j, load(b.k_grad + width * n + j), s.headDim - j);
          store_part(rows_of(s.vGrad, s.kStride, key + n) + kv + j, load(b.v_grad + width * n + j), s.headDim - j);
        }
      }
    }
  }
}

}  // namespace KERNELS
