// AdamW with the gradient clipped to a global norm: the formulas stand in core's record of the op. New values go over the old ones, or
// elsewhere. And whether what it is given is finite, by the bits.
#include "common.cuh"

KERNEL_FILE("adamw")

/// A weight and its moments.
struct Parameters {
  const float *gradient;
  const float *squares;
  const float *settings;
  const float *weight;
  const float *first_moment;
  const float *second_moment;
  float *new_weight;
  float *new_first;
  float *new_second;
  uint64_t count;
  float beta1;
  /// 1 - beta1
  float rest1;
  float beta2;
  float rest2;
  float eps;
  float weight_decay;
  float max_norm;
  /// Its square.
  float max_squares;
};

struct FiniteParameters {
  const uint32_t *x;
  /// Becomes 1 where something is not finite.
  uint32_t *found;
  uint64_t count;
  uint32_t width, stride;
};
#include "asserts/adamw.cuh"

KERNEL(adamw, Parameters, 256) {
  const float squares = P.squares[0], rate = P.settings[0];
  const float clip = squares > P.max_squares ? P.max_norm / sqrtf(squares) : 1.0f;
  const float keeps = 1.0f - rate * P.weight_decay;
  for (uint64_t i = (uint64_t)blockIdx.x * 256 + threadIdx.x; i < P.count; i += (uint64_t)gridDim.x * 256) {
    const float g = clip * P.gradient[i];
    const float m = P.beta1 * P.first_moment[i] + P.rest1 * g;
    const float v = P.beta2 * P.second_moment[i] + P.rest2 * (g * g);
    const float root = sqrtf(v / P.settings[2]) + P.eps;
    const float weight = P.weight[i] * keeps - rate * (m / P.settings[1] / root);
    P.new_first[i] = m;
    P.new_second[i] = v;
    P.new_weight[i] = weight;
  }
}

KERNEL(all_finite, FiniteParameters, 256) {
  bool damaged = false;
  for (uint64_t i = (uint64_t)blockIdx.x * 256 + threadIdx.x; i < P.count; i += (uint64_t)gridDim.x * 256)
    damaged |= (P.x[i / P.width * P.stride + i % P.width] & 0x7f800000u) == 0x7f800000u;
  if (damaged) *P.found = 1;
}
