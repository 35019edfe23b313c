// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 96, "Parameters");
static_assert(offsetof(Parameters, W.q) == 0, "Parameters.W.q");
static_assert(offsetof(Parameters, W.h) == 8, "Parameters.W.h");
static_assert(offsetof(Parameters, W.s) == 16, "Parameters.W.s");
static_assert(offsetof(Parameters, W.d) == 24, "Parameters.W.d");
static_assert(offsetof(Parameters, exponents) == 32, "Parameters.exponents");
static_assert(offsetof(Parameters, x) == 40, "Parameters.x");
static_assert(offsetof(Parameters, y) == 48, "Parameters.y");
static_assert(offsetof(Parameters, residual) == 56, "Parameters.residual");
static_assert(offsetof(Parameters, K) == 64, "Parameters.K");
static_assert(offsetof(Parameters, M) == 68, "Parameters.M");
static_assert(offsetof(Parameters, N) == 72, "Parameters.N");
static_assert(offsetof(Parameters, first) == 76, "Parameters.first");
static_assert(offsetof(Parameters, pitch) == 80, "Parameters.pitch");
static_assert(offsetof(Parameters, x_stride) == 84, "Parameters.x_stride");
static_assert(offsetof(Parameters, y_stride) == 88, "Parameters.y_stride");
static_assert(offsetof(Parameters, residual_stride) == 92, "Parameters.residual_stride");
