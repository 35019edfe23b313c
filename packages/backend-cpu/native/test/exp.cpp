// The error of exp and of attention's weights over all floats whose result is neither 1 nor beyond the range, against
// double precision, in units in the last place of the result; and a sum over exp's bits, which all sets must share.
//
//   for flags in "" "-DKERNELS_AVX2 -mavx2 -mfma -mf16c" "-DKERNELS_AVX512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni"; do
//     clang++-14 -std=c++17 -O2 -ffp-contract=off -DKERNELS=set $flags test/exp.cpp -o exp && ./exp
//   done
#include <math.h>
#include <stdio.h>

#include "../types.h"
#if defined(KERNELS_AVX512)
#include "../simd/avx512.h"
#elif defined(KERNELS_AVX2)
#include "../simd/avx2.h"
#else
#include "../simd/plain.h"
#endif
#include "../kernels/math.h"

using namespace KERNELS;

/** e^x within 2^-60: 2^(n / 64) from a table, and a polynomial. Faster than the library's, of which it is checked. */
static double table[64];
static double exact(double x) {
  const double n = rint(x * (64 / M_LN2));
  const double r = (x - n * 0x1.62e42fefap-7) - n * 0x1.cf79abc9e3b39p-46;
  const long whole = (long)n;
  const double p = 1 + r * (1 + r * (1 / 2.0 + r * (1 / 6.0 + r * (1 / 24.0 + r * (1 / 120.0 + r / 720.0)))));
  return ldexp(table[whole & 63] * p, (int)(whole >> 6));
}

/** Units in the last place of a float near y; subnormal numbers have the least. */
static double unit_of(double y) {
  const int exponent = ilogb(y);
  return ldexp(1, (exponent < -126 ? -126 : exponent) - 23);
}

int main() {
  for (u32 i = 0; i < 64; i++) table[i] = exp2(i / 64.0);
  double worst = 0, worst_weight = 0;
  float at = 0, weight_at = 0;
  u64 sum = 0;
  for (u32 sign = 0; sign < 2; sign++) {
    for (u32 bits = 0x32800000; bits < 0x42d00000; bits += 16) {  // 2^-26 to 104
      float x[16], y[16], weight[16];
      for (u32 i = 0; i < 16; i++) x[i] = float_of(bits + i | sign << 31);
      if (x[0] > 88.7f) break;
      for (u32 i = 0; i < 16; i += L) {
        store(y + i, KERNELS::exp(load(x + i)));
        store(weight + i, exp_weight(load(x + i)));
      }
      for (u32 i = 0; i < 16; i++) {
        sum = sum * 31 + bits_of(y[i]);
        const double right = exact(x[i]), error = fabs(y[i] - right) / unit_of(right);
        if (error > worst) worst = error, at = x[i];
        if (x[i] > 0.001f || x[i] < -87) continue;
        const double other = fabs(weight[i] - right) / unit_of(right);
        if (other > worst_weight) worst_weight = other, weight_at = x[i];
      }
      if (bits % 65536 == 0 && fabs(exact(x[0]) / ::exp((double)x[0]) - 1) > 0x1p-50) return printf("exact is not\n"), 1;
    }
  }
  printf("%u lanes: exp within %.4f units (at %a), weights within %.4f (at %a); bits %016llx\n", L, worst, at,
         worst_weight, weight_at, sum);
}
