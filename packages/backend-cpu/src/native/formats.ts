// Formats of weights and of keys and values, as the library numbers them.

import type { CacheFormat, FormatName } from "@polyllama/core";

export const formatNumbers: Readonly<Record<FormatName, number>> = {
  f32: 0,
  f16: 1,
  bf16: 2,
  q8_0: 3,
  q4_0: 4,
  q4_1: 5,
  q5_0: 6,
  q5_1: 7,
  q2_k: 8,
  q3_k: 9,
  q4_k: 10,
  q5_k: 11,
  q6_k: 12,
  q8_k: 13,
  iq4_nl: 14,
};

export const cacheFormatNumbers: Readonly<Record<CacheFormat, number>> = {
  f32: formatNumbers.f32,
  f16: formatNumbers.f16,
  bf16: formatNumbers.bf16,
  q8_0: formatNumbers.q8_0,
};
