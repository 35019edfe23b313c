// exp and what is made of it: by products and sums that are rounded one by one, so that every instruction set gives the
// same bits.
#pragma once
#include "../types.h"

namespace KERNELS {

/**
 * e^x within 0.992 units in the last place (test/exp.cpp tries all floats): x = n ln 2 + r with |r| <= ln 2 / 2, and a
 * polynomial in r. Subnormal results have what units they have; NaN stays NaN.
 */
INLINE F exp(F x) {
  const F magic = set1(0x1.8p23f);
  const F within = min(set1(89), max(set1(-104), x));  // in this order NaN comes through
  const F shifted = add(mul(within, set1(1.44269504f)), magic);
  const F n = sub(shifted, magic);
  // ln 2 in two parts, the first of which has so few bits that n times it is exact.
  F r = sub(within, mul(n, set1(0.693359375f)));
  r = sub(r, mul(n, set1(-2.12194440e-4f)));
  F p = set1(1.9875691500e-4f);
  p = add(mul(p, r), set1(1.3981999507e-3f));
  p = add(mul(p, r), set1(8.3334519073e-3f));
  p = add(mul(p, r), set1(4.1665795894e-2f));
  p = add(mul(p, r), set1(1.6666665459e-1f));
  p = add(mul(p, r), set1(5.0000001201e-1f));
  const F y = add(add(mul(mul(p, r), r), r), set1(1));
  // 2^n in two factors: of 2^128 and 2^-150 alone there are no bits.
  const I whole = isub(as_int(shifted), as_int(magic));
  const I half = isub(ishr<1>(iadd(whole, iset1(256))), iset1(128));
  const F first = as_float(ishl<23>(iadd(half, iset1(127))));
  const F second = as_float(ishl<23>(iadd(isub(whole, half), iset1(127))));
  return mul(mul(y, first), second);
}

/**
 * e^x of x up to 0 for weights whose largest is 1, within 1.02 units down to e^-87, which stands for all below. Fused
 * where a set can, so its bits are not those of all sets.
 */
INLINE F exp_weight(F x) {
  const F magic = set1(0x1.8p23f);
  const F within = max(set1(-87), x);  // in this order NaN comes through
  const F shifted = fma(within, set1(1.44269504f), magic);
  const F n = sub(shifted, magic);
  const F r = fma(n, set1(2.12194440e-4f), fma(n, set1(-0.693359375f), within));
  F p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  const F y = add(fma(p, mul(r, r), r), set1(1));
  return as_float(iadd(as_int(y), ishl<23>(as_int(shifted))));
}

/**
 * The same of one number, far closer. In double precision and not by a register: clang 14 does not come to an end with
 * one whose values are all the same, for WebAssembly.
 */
INLINE float exp_weight_of(float x) {
  const double within = x < -87 ? -87.0 : (double)x;
  const i32 n = (i32)(within * 1.4426950408889634 - 0.5);
  const double r = within - n * 0.6931471805599453;  // |r| <= ln 2 / 2
  double sum = 1;
  for (int k = 10; k >= 1; k--) sum = 1 + sum * r / k;
  return (float)sum * float_of((u32)(n + 127) << 23);
}

/** The natural logarithm of a finite number above 0 that is not subnormal, far closer than f32 can say. */
INLINE float natural_log(float x) {
  const u32 bits = bits_of(x);
  i32 exponent = (i32)(bits >> 23) - 127;
  double fraction = (double)float_of((bits & 0x7fffffu) | 0x3f800000u);
  if (fraction > 1.4142135623730951) fraction /= 2, exponent++;
  const double z = (fraction - 1) / (fraction + 1), square = z * z;
  double sum = 0;
  for (int k = 15; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return (float)(2 * z * sum + exponent * 0.6931471805599453);
}

/** 1 / (1 + e^-x) */
INLINE F sigmoid(F x) { return div(set1(1), add(set1(1), exp(sub(set1(0), x)))); }

/** x / (1 + e^-x) */
INLINE F silu(F x) { return div(x, add(set1(1), exp(sub(set1(0), x)))); }

}  // namespace KERNELS
