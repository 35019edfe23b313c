// Parameters of kernels over two operands of equal width.
#pragma once
#include "common.cuh"

struct Parameters {
  const float *a;
  const float *b;
  float *y;
  uint32_t width, a_stride, b_stride, y_stride;
};
#include "asserts/elementwise.cuh"
