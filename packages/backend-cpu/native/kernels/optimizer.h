// AdamW with clipping to a global norm, which writes only where all that was looked at is finite; sums of squares.
#pragma once
#include "common.h"

namespace KERNELS {

/** Words of a unit; squares are summed in f32 by fewer of them, and in double precision from there. */
constexpr u32 piece_words = 65536, summed_words = 4096;

INLINE u64 pieces_of(u64 width) { return (width + piece_words - 1) / piece_words; }

static void squares(const Context& c, const void* step) {
  const SquaresStep& s = *(const SquaresStep*)step;
  const u32 pieces = (u32)pieces_of(s.width);
  for (u32 unit; c.next(s.rows * pieces, unit);) {
    const u64 first = (u64)(unit % pieces) * piece_words;
    const u64 count = s.width - first < piece_words ? s.width - first : piece_words;
    const float* x = at<const float>(c, s.x) + s.xStride * (unit / pieces) + first;
    double total = 0;
    for (u64 from = 0; from < count; from += summed_words) {
      const u32 end = (u32)(count - from < summed_words ? count - from : summed_words);
      F sum = set1(0);
      for (u32 i = 0; i < end; i += L) {
        const F value = load_part(x + from + i, end - i);
        sum = fma(value, value, sum);
      }
      float lanes[L];
      store(lanes, sum);
      for (u32 i = 0; i < L; i++) total += (double)lanes[i];
    }
    at<double>(c, s.sums)[unit] = total;
  }
}

static void sum_of_squares(const Context& c, const void* step) {
  const SumOfSquaresStep& s = *(const SumOfSquaresStep*)step;
  for (u32 unit; c.next(1, unit);) {
    double total = 0;
    for (u64 i = 0; i < s.count; i++) total += at<const double>(c, s.sums)[i];
    at<float>(c, s.y)[0] = (float)total;
  }
}

static void adamw(const Context& c, const void* step) {
  const AdamwStep& s = *(const AdamwStep*)step;
  if (__atomic_load_n(c.not_finite, __ATOMIC_RELAXED)) return;
  const float* settings = at<const float>(c, s.settings);
  const float norm = __builtin_sqrtf(at<const float>(c, s.squares)[0]);
  const F clip = set1(norm > s.maxNorm ? s.maxNorm / norm : 1.0f);
  const float rate = settings[0];
  const F step_size = set1(rate / settings[1]), keeps = set1(1.0f - rate * s.weightDecay), eps = set1(s.eps);
  const F correction = set1(__builtin_sqrtf(settings[2]));
  const F beta1 = set1(s.beta1), beta2 = set1(s.beta2), rest1 = set1(s.restOfBeta1), rest2 = set1(s.restOfBeta2);
  for (u32 unit; c.next((u32)pieces_of(s.words), unit);) {
    const u64 first = (u64)unit * piece_words;
    const u32 count = (u32)(s.words - first < piece_words ? s.words - first : piece_words);
    const auto from = [&](u64 ref) INLINE_LAMBDA { return at<float>(c, ref) + first; };
    const float *gradient = from(s.gradient), *weight = from(s.weight);
    const float *first_moment = from(s.firstMoment), *second_moment = from(s.secondMoment);
    float *new_weight = from(s.newWeight), *new_first = from(s.newFirstMoment), *new_second = from(s.newSecondMoment);
    for (u32 i = 0; i < count; i += L) {
      const u32 some = count - i;
      const F g = mul(load_part(gradient + i, some), clip);
      const F m = add(mul(beta1, load_part(first_moment + i, some)), mul(rest1, g));
      const F v = add(mul(beta2, load_part(second_moment + i, some)), mul(rest2, mul(g, g)));
      const F change = div(mul(step_size, m), add(div(root(v), correction), eps));
      store_part(new_first + i, m, some);
      store_part(new_second + i, v, some);
      store_part(new_weight + i, sub(mul(load_part(weight + i, some), keeps), change), some);
    }
  }
}

static void scale(const Context& c, const void* step) {
  const ScaleStep& s = *(const ScaleStep*)step;
  const u32 pieces = (u32)pieces_of(s.width);
  for (u32 unit; c.next(s.rows * pieces, unit);) {
    const u64 first = (u64)(unit % pieces) * piece_words, place = s.xStride * (unit / pieces) + first;
    const u32 count = (u32)(s.width - first < piece_words ? s.width - first : piece_words);
    const float* x = at<const float>(c, s.x) + place;
    float* y = at<float>(c, s.y) + place;
    for (u32 i = 0; i < count; i += L) store_part(y + i, mul(load_part(x + i, count - i), set1(s.factor)), count - i);
  }
}

static void finite(const Context& c, const void* step) {
  const FiniteStep& s = *(const FiniteStep*)step;
  const u32 pieces = (u32)pieces_of(s.width);
  for (u32 unit; c.next(s.rows * pieces, unit);) {
    const u64 first = (u64)(unit % pieces) * piece_words;
    const u64 count = s.width - first < piece_words ? s.width - first : piece_words;
    const float* x = at<const float>(c, s.x) + s.xStride * (unit / pieces) + first;
    u32 found = 0;
    for (u64 i = 0; i < count; i++) found |= (bits_of(x[i]) & 0x7f800000u) == 0x7f800000u;
    if (found) __atomic_store_n(c.not_finite, 1, __ATOMIC_RELAXED);
  }
}

}  // namespace KERNELS
