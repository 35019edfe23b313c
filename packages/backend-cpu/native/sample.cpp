#include "sample.h"

namespace {

constexpr u32 one = 1u << 30;
constexpr u32 not_a_number = 0xffffffffu, none_allowed = 0xfffffffeu;

/** Larger for larger logits; both zeros are one. */
u32 order_of(float logit) {
  const u32 bits = bits_of(logit + 0.0f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

u32 weight_of(float logit, float most, float scale, const u32* table) {
  const float distance = (most - logit) * scale;
  if (!(distance < 31.0f)) return logit == most ? one : 0;
  const u32 steps = (u32)(distance * 65536.0f);
  const u32 octaves = steps >> 16, j = steps >> 8 & 255;
  if (octaves > 30) return 0;
  const u32 here = table[j];
  return (here - ((here - table[j + 1]) * (steps & 255) >> 8)) >> octaves;
}

/** Philox4x32-10 for the counter (position, 0, 0, 0): the first two words. */
u64 random_bits(u32 position, u32 k0, u32 k1) {
  u32 c0 = position, c1 = 0, c2 = 0, c3 = 0;
  for (int round = 0; round < 10; round++) {
    const u64 a = 0xd2511f53ull * c0, b = 0xcd9e8d57ull * c2;
    c0 = (u32)(b >> 32) ^ c1 ^ k0;
    c1 = (u32)b;
    c2 = (u32)(a >> 32) ^ c3 ^ k1;
    c3 = (u32)a;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return (u64)c1 << 32 | c0;
}

/** The upper 64 bits of a product. */
u64 multiply_high(u64 a, u64 b) {
  const u64 a0 = (u32)a, a1 = a >> 32, b0 = (u32)b, b1 = b >> 32;
  const u64 middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (u32)middle;
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

/** What is counted of a token when the heaviest ones are looked for: itself, or its weight. */
struct Counted {
  const float* logits;
  const u32* weights;
  u32 count;
  bool by_weight;
  u64 operator[](u32 i) const { return by_weight ? weights[i] : weights[i] != 0; }
};

/**
 * Takes the weight of all tokens but the most probable ones, in the order of their logits and then of their ids, that
 * together reach `enough`: looks for the logit of the last one, bits by bits, by what tokens of each pattern sum up to.
 */
void keep_most_probable(const Counted& counted, double enough, u32* weights, u64* sums) {
  u32 prefix = 0, known = 0;  // bits of the last one's order
  u64 above = 0;              // what tokens with a greater prefix sum up to
  const u32 widths[] = {11, 11, 10};
  for (const u32 width : widths) {
    const u32 shift = 32 - known - width;
    __builtin_memset(sums, 0, sizeof(u64) << width);
    for (u32 i = 0; i < counted.count; i++) {
      const u32 order = order_of(counted.logits[i]);
      if (known == 0 || order >> (32 - known) == prefix) sums[order >> shift & ((1u << width) - 1)] += counted[i];
    }
    u32 bucket = (1u << width) - 1;
    while (bucket > 0 && !((double)(above + sums[bucket]) >= enough)) above += sums[bucket--];
    prefix = prefix << width | bucket;
    known += width;
  }
  for (u32 i = 0; i < counted.count; i++) {
    const u32 order = order_of(counted.logits[i]);
    if (order > prefix) continue;
    if (order == prefix && !((double)above >= enough)) above += counted[i];
    else weights[i] = 0;
  }
}

u32 choose(const Draw& draw, const float* logits, u32 count, const u32* table, u32* weights, u64* sums) {
  u32 best = 0;
  bool wrong = false;
  for (u32 i = 0; i < count; i++) {
    wrong |= logits[i] != logits[i];
    if (logits[i] > logits[best]) best = i;
  }
  if (wrong) return not_a_number;
  const float most = logits[best];
  if (most == -__builtin_inff()) return none_allowed;
  if (draw.greedy) return best;
  u64 total = 0;
  for (u32 i = 0; i < count; i++) total += weights[i] = weight_of(logits[i], most, draw.scale, table);
  if (draw.topK > 0 && draw.topK < count) {
    // Tokens without a weight count as well, as they do where all are sorted; they are behind all that have one.
    keep_most_probable({logits, weights, count, false}, draw.topK, weights, sums);
    total = 0;
    for (u32 i = 0; i < count; i++) total += weights[i];
  }
  if (draw.topP < 1) {
    if (draw.topP > 0) keep_most_probable({logits, weights, count, true}, draw.topP * (double)total, weights, sums);
    else for (u32 i = 0; i < count; i++) weights[i] = i == best ? weights[i] : 0;
  }
  total = 0;
  for (u32 i = 0; i < count; i++) total += weights[i] = weights[i] >= draw.least ? weights[i] : 0;
  const u64 target = multiply_high(total, random_bits(draw.position, draw.seedLow, draw.seedHigh));
  u64 passed = 0;
  for (u32 i = 0; i < count; i++) {
    passed += weights[i];
    if (passed > target) return i;
  }
  return best;
}

}  // namespace

void sample(const Context& c, const void* step) {
  const SampleStep& s = *(const SampleStep*)step;
  const Draw* draws = (const Draw*)c.resolve(s.draws);
  const u32* table = (const u32*)c.resolve(s.powers);
  u64* sums = (u64*)c.scratch;
  u32* weights = (u32*)(sums + 2048);
  for (u32 n; c.next(s.rows, n);) {
    const float* logits = (const float*)c.resolve(s.x) + (u64)s.xStride * draws[n].row;
    ((u32*)c.resolve(s.chosen))[n] = choose(draws[n], logits, s.width, table, weights, sums);
  }
}
