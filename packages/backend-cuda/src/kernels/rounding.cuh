// Rows in f16 that are scaled by a power of two, so that their largest value lies in [2^14, 2^15).
#pragma once
#include "common.cuh"

/// Exponent of the power for a row whose largest magnitude this is. The least normal numbers get one of the largest powers there are, and
/// a row of zeros gets that too.
DEVICE int row_exponent(float most) { return min(14 + 127 - int(__float_as_uint(most) >> 23), 126); }

/// 2^exponent, for exponents from -126 to 127.
DEVICE float power_of_two(int exponent) { return __uint_as_float(uint32_t(exponent + 127) << 23); }
