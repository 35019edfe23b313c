// Numbers of 16 bits as f32, by integers alone: for single values, and where the processor has no instruction for it.
#pragma once
#include "types.h"

static inline float from_f16(u16 h) {
  const u32 sign = (u32)(h & 0x8000) << 16;
  const u32 exponent = (h >> 10) & 31, fraction = h & 1023;
  if (exponent == 31) return float_of(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  const float subnormal = (float)fraction * 0x1p-24f;
  return sign ? -subnormal : subnormal;
}

static inline float from_bf16(u16 b) { return float_of((u32)b << 16); }

/** Rounded to the nearest, ties to even; beyond the range infinite. */
static inline u16 to_f16(float x) {
  const u32 bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (u16)(sign | 0x7e00);
  if (magnitude >= 0x477ff000u) return (u16)(sign | 0x7c00);
  if (magnitude < 0x38800000u) {  // subnormal: added to 0.5, whose last place is 2^-24
    const float shifted = float_of(magnitude) + 0.5f;
    return (u16)(sign | (bits_of(shifted) - bits_of(0.5f)));
  }
  const u32 rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return (u16)(sign | (rounded - 0x38000000u) >> 13);
}

static inline u16 to_bf16(float x) {
  const u32 bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (u16)(bits >> 16 | 64);
  return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
