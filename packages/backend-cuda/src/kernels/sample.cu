// Draws tokens from rows of logits by core's integer definition (core/src/sampling/sample.ts): from the logits on all is integers, so
// that the choice is the host's to the last bit. Top-k and the nucleus are found without sorting: tokens have keys ordered by logit, then
// by lower id, and the least key that is kept is built bit by bit. A block per draw.
//
// take_tokens puts drawn tokens into the rows of a step, so that steps follow each other without the host.
#include "common.cuh"

KERNEL_FILE("sample")

/// What the host says for each draw (sample.ts).
struct Draw {
  /// Share of the nucleus; 1 keeps all.
  double p;
  /// Where the token goes.
  uint32_t *chosen;
  uint32_t seed_low, seed_high;
  /// log2(e) / temperature.
  float scale;
  uint32_t position;
  /// 0 keeps all.
  uint32_t top_k;
  /// Least weight that is kept.
  uint32_t least;
  /// 1 picks the most probable token.
  uint32_t greedy;
  /// Row of the logits.
  uint32_t row;
};

struct Parameters {
  const float *logits;
  /// exp2 in fixed point, 257 entries.
  const uint32_t *table;
  const Draw *draws;
  uint32_t V, stride;
};

struct TakeParameters {
  /// Where the address of the tokens stands; rows have the numbers of theirs. The address is null where the rows have tokens already.
  const uint32_t *const *tokens;
  Row *rows;
  uint32_t count;
};
#include "asserts/sample.cuh"

constexpr int threads = 512;
/// Threads whose sums are added at once when the draw is looked up.
constexpr int per_group = threads / 32;
constexpr int id_bits = 24;
constexpr uint32_t one = 1u << 30;
constexpr uint32_t not_a_number = 0xffffffffu;

DEVICE uint64_t key_of(float logit, uint32_t id) {
  const uint32_t bits = __float_as_uint(logit + 0.0f); // both zeros are one
  const uint32_t ordered = (bits >> 31) ? ~bits : bits | 0x80000000u;
  return ((uint64_t)ordered << id_bits) | (((1u << id_bits) - 1) - id);
}

DEVICE uint32_t weight_of(float logit, float most, float scale, const uint32_t *table) {
  const float distance = (most - logit) * scale;
  if (!(distance < 31.0f)) return logit == most ? one : 0;
  const uint32_t steps = (uint32_t)(distance * 65536.0f);
  const uint32_t octaves = steps >> 16, j = (steps >> 8) & 255u;
  if (octaves > 30) return 0;
  const uint32_t here = table[j];
  return (here - (((here - table[j + 1]) * (steps & 255u)) >> 8)) >> octaves;
}

DEVICE uint64_t shuffled(uint64_t value, int lanes) {
  const uint32_t low = __shfl_xor_sync(allLanes, (uint32_t)value, lanes);
  const uint32_t high = __shfl_xor_sync(allLanes, (uint32_t)(value >> 32), lanes);
  return ((uint64_t)high << 32) | low;
}

/// Sum, or maximum, over the block.
template <bool MAXIMUM> DEVICE uint64_t over_block(uint64_t value, uint64_t *scratch) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    const uint64_t other = shuffled(value, lanes);
    value = MAXIMUM ? (other > value ? other : value) : value + other;
  }
  __syncthreads();
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = value;
  __syncthreads();
  value = 0;
#pragma unroll
  for (int warp = 0; warp < threads / 32; warp++) {
    const uint64_t other = scratch[warp];
    value = MAXIMUM ? (other > value ? other : value) : value + other;
  }
  return value;
}

/// Philox4x32-10 for the counter (position, 0, 0, 0): the first two words.
DEVICE uint64_t random_bits(uint32_t position, uint32_t k0, uint32_t k1) {
  uint32_t c0 = position, c1 = 0, c2 = 0, c3 = 0;
  for (int round = 0; round < 10; round++) {
    const uint32_t high0 = __umulhi(0xd2511f53u, c0), low0 = 0xd2511f53u * c0;
    const uint32_t high1 = __umulhi(0xcd9e8d57u, c2), low1 = 0xcd9e8d57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return ((uint64_t)c1 << 32) | c0;
}

KERNEL(sample, Parameters, threads, 1) {
  SHARED(uint64_t, scratch, threads / 32);
  SHARED(uint64_t, sums, threads);
  SHARED(uint64_t, groups, 32);
  const Draw draw = P.draws[blockIdx.x];
  const float *logits = P.logits + (uint64_t)draw.row * P.stride;
  const uint32_t t = threadIdx.x;

  uint64_t best = 0, wrong = 0;
  for (uint32_t i = t; i < P.V; i += threads) {
    const float logit = logits[i];
    if (logit != logit) wrong = 1;
    const uint64_t key = key_of(logit, i);
    if (key > best) best = key;
  }
  best = over_block<true>(best, scratch);
  wrong = over_block<true>(wrong, scratch);
  const uint32_t best_id = ((1u << id_bits) - 1) - (uint32_t)(best & ((1u << id_bits) - 1));
  if (wrong != 0 || draw.greedy != 0) {
    if (t == 0) *draw.chosen = wrong != 0 ? not_a_number : best_id;
    return;
  }
  const float most = logits[best_id];

  // Tokens with a key of at least this are kept.
  uint64_t kept = 0;
  if (draw.top_k > 0 && draw.top_k < P.V) {
    for (int bit = 32 + id_bits - 1; bit >= 0; bit--) {
      const uint64_t tried = kept | ((uint64_t)1 << bit);
      uint64_t count = 0;
      for (uint32_t i = t; i < P.V; i += threads) count += key_of(logits[i], i) >= tried;
      if (over_block<false>(count, scratch) >= draw.top_k) kept = tried;
    }
  }
  if (draw.p < 1.0) {
    uint64_t total = 0;
    for (uint32_t i = t; i < P.V; i += threads) {
      const float logit = logits[i];
      if (key_of(logit, i) >= kept) total += weight_of(logit, most, draw.scale, P.table);
    }
    const double enough = draw.p * (double)over_block<false>(total, scratch);
    uint64_t nucleus = 0;
    for (int bit = 32 + id_bits - 1; bit >= 0; bit--) {
      const uint64_t tried = nucleus | ((uint64_t)1 << bit);
      uint64_t sum = 0;
      for (uint32_t i = t; i < P.V; i += threads) {
        const float logit = logits[i];
        const uint64_t key = key_of(logit, i);
        if (key >= kept && key >= tried) sum += weight_of(logit, most, draw.scale, P.table);
      }
      if ((double)over_block<false>(sum, scratch) >= enough) nucleus = tried;
    }
    if (nucleus > best) nucleus = best; // the most probable token is always kept
    if (nucleus > kept) kept = nucleus;
  }

  // Each thread has a run of ids; the draw falls into one of them.
  const uint32_t run = (P.V + threads - 1) / threads;
  const uint32_t begin = min(t * run, P.V), end = min(begin + run, P.V);
  uint64_t sum = 0;
  for (uint32_t i = begin; i < end; i++) {
    const float logit = logits[i];
    const uint32_t weight = key_of(logit, i) >= kept ? weight_of(logit, most, draw.scale, P.table) : 0;
    if (weight >= draw.least) sum += weight;
  }
  sums[t] = sum;
  const uint64_t total = over_block<false>(sum, scratch);
  if (t < 32) {
    uint64_t group = 0;
    for (int i = 0; i < per_group; i++) group += sums[t * per_group + i];
    groups[t] = group;
  }
  __syncthreads();
  if (t != 0) return;
  const uint64_t target = __umul64hi(total, random_bits(draw.position, draw.seed_low, draw.seed_high));
  uint64_t passed = 0;
  uint32_t group = 0, owner = 0;
  while (group < 31 && passed + groups[group] <= target) passed += groups[group++];
  owner = group * per_group;
  while (owner < (group + 1) * per_group - 1 && passed + sums[owner] <= target) passed += sums[owner++];
  for (uint32_t i = owner * run; i < P.V; i++) {
    const float logit = logits[i];
    const uint32_t weight = key_of(logit, i) >= kept ? weight_of(logit, most, draw.scale, P.table) : 0;
    if (weight >= draw.least) passed += weight;
    if (passed <= target) continue;
    *draw.chosen = i;
    return;
  }
}

KERNEL(take_tokens, TakeParameters, 128) {
  const uint32_t i = blockIdx.x * 128 + threadIdx.x;
  const uint32_t *tokens = *P.tokens;
  if (i >= P.count || tokens == nullptr) return;
  const uint32_t token = tokens[P.rows[i].token];
  P.rows[i].token = token == not_a_number ? 0 : token; // whoever drew that fails, and this step with it
}
