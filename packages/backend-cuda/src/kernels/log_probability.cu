// Log-probabilities of targets over a vocabulary that comes in pieces of logits, and their gradient by a piece. A block per row: what is
// known of a row behind a piece is its largest score, the sum of exp(score - largest) and the target's score.
#include "block.cuh"

KERNEL_FILE("log_probability")

struct Parameters {
  const float *x;
  /// Below 0: none.
  const int *targets;
  float4 *states;
  float *y;
  float *log_sum_exp;
  /// Token of the first logit.
  uint32_t first;
  uint32_t width, x_stride, y_stride, sum_stride;
  /// 1 for the first piece, and for the last.
  uint32_t begins, ends;
  /// 1 / temperature.
  float scale;
};

struct GradParameters {
  /// Logits, which their gradient takes the place of.
  float *x;
  const int *targets;
  const float *log_sum_exp;
  const float *cotangent;
  uint32_t first, width, x_stride, sum_stride, cotangent_stride;
  float scale;
};
#include "asserts/log_probability.cuh"

KERNEL(log_sum_exp, Parameters, block_threads) {
  SHARED(float, partial, block_warps);
  const uint32_t n = blockIdx.x;
  const float *x = P.x + (uint64_t)n * P.x_stride;
  const float4 state = P.begins ? make_float4(-3.0e38f, 0, 0, 0) : P.states[n];
  float most = state.x;
  for (uint32_t k = threadIdx.x; k < P.width; k += block_threads) most = fmaxf(most, x[k] * P.scale);
  most = block_max(most, partial);
  float sum = 0.0f;
  for (uint32_t k = threadIdx.x; k < P.width; k += block_threads) sum += expf(x[k] * P.scale - most);
  sum = block_sum(sum, partial);
  if (threadIdx.x > 0) return;
  sum = fmaf(state.y, expf(state.x - most), sum);
  const int wanted = P.targets[n];
  float score = state.z;
  if (wanted >= 0 && uint32_t(wanted) >= P.first && uint32_t(wanted) - P.first < P.width) score = x[wanted - P.first] * P.scale;
  P.states[n] = make_float4(most, sum, score, 0);
  if (!P.ends) return;
  const float logarithm = most + logf(sum);
  P.y[(uint64_t)n * P.y_stride] = wanted < 0 ? 0.0f : score - logarithm;
  P.log_sum_exp[(uint64_t)n * P.sum_stride] = logarithm;
}

/// x = cotangent ((v = target) - exp(x scale - logSumExp)) scale, and 0 in rows without a target.
KERNEL(softmax_grad, GradParameters, 128) {
  const uint32_t k = blockIdx.x * 128 + threadIdx.x;
  if (k >= P.width) return;
  const uint64_t n = blockIdx.y;
  const int wanted = P.targets[n];
  float *x = P.x + n * P.x_stride + k;
  const float p = expf(*x * P.scale - P.log_sum_exp[n * P.sum_stride]);
  const float own = wanted >= 0 && uint32_t(wanted) == P.first + k ? 1.0f : 0.0f;
  *x = wanted < 0 ? 0.0f : P.cotangent[n * P.cotangent_stride] * (own - p) * P.scale;
}
