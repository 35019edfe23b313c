// Log-probabilities of targets over a vocabulary that comes in pieces, and the gradient of one piece's logits.
#pragma once
#include "common.h"
#include "math.h"

namespace KERNELS {

/** What is known of a row behind some pieces. */
struct LogSumExpState {
  float largest, sum, target, unused;
};

static void log_sum_exp(const Context& c, const void* step) {
  const LogSumExpStep& s = *(const LogSumExpStep*)step;
  const F scale = set1(s.scale);
  for (u32 n; c.next(s.rows, n);) {
    const float* x = row_at(at<const float>(c, s.x), s.xStride, n);
    LogSumExpState& state = at<LogSumExpState>(c, s.state)[n];
    if (s.begins) state = {-__builtin_inff(), 0, 0, 0};
    const auto score = [&](u32 i) INLINE_LAMBDA { return mul(load_part(x + i, s.width - i), scale); };
    float lanes[L], largest = state.largest;
    F highest = set1(largest);
    u32 i = 0;
    for (; i + L <= s.width; i += L) highest = max(score(i), highest);
    store(lanes, highest);
    for (u32 k = 0; k < L; k++) largest = lanes[k] > largest ? lanes[k] : largest;
    for (u32 k = i; k < s.width; k++) largest = x[k] * s.scale > largest ? x[k] * s.scale : largest;
    F sum = set1(0);
    for (u32 k = 0; k < i; k += L) sum = add(sum, exp_weight(sub(score(k), set1(largest))));
    float total = sum_of(sum);
    if (i < s.width) {
      store(lanes, exp_weight(sub(score(i), set1(largest))));
      for (u32 k = i; k < s.width; k++) total += lanes[k - i];
    }
    state.sum = (state.sum == 0 ? 0 : state.sum * exp_weight_of(state.largest - largest)) + total;
    state.largest = largest;
    const i32 target = at<const i32>(c, s.targets)[n];
    if (target >= 0 && (u32)target - s.first < s.width) state.target = x[(u32)target - s.first] * s.scale;
    if (!s.ends) continue;
    const float logarithm = state.largest + natural_log(state.sum);
    if (s.y) at<float>(c, s.y)[n] = target < 0 ? 0 : state.target - logarithm;
    if (s.logSumExp) at<float>(c, s.logSumExp)[n] = logarithm;
  }
}

/** x = cotangent ((v = target) - e^(x scale - logSumExp)) scale, and 0 in rows without a target. */
static void softmax_grad(const Context& c, const void* step) {
  const SoftmaxGradStep& s = *(const SoftmaxGradStep*)step;
  for (u32 n; c.next(s.rows, n);) {
    float* x = row_at(at<float>(c, s.x), s.xStride, n);
    const i32 target = at<const i32>(c, s.targets)[n];
    if (target < 0) {
      __builtin_memset(x, 0, 4 * (u64)s.width);
      continue;
    }
    const float factor = at<const float>(c, s.cotangent)[n] * s.scale;
    const F total = set1(at<const float>(c, s.logSumExp)[n]), scale = set1(s.scale), minus = set1(-factor);
    const bool within = (u32)target - s.first < s.width;
    float own = 0;
    if (within) {
      own = factor * (1 - exp_weight_of(x[(u32)target - s.first] * s.scale - at<const float>(c, s.logSumExp)[n]));
    }
    for (u32 i = 0; i < s.width; i += L) {
      const F weight = exp_weight(sub(mul(load_part(x + i, s.width - i), scale), total));
      store_part(x + i, mul(weight, minus), s.width - i);
    }
    if (within) x[(u32)target - s.first] = own;
  }
}

}  // namespace KERNELS
