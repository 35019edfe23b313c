// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 88, "Parameters");
static_assert(offsetof(Parameters, W.q) == 0, "Parameters.W.q");
static_assert(offsetof(Parameters, W.h) == 8, "Parameters.W.h");
static_assert(offsetof(Parameters, W.s) == 16, "Parameters.W.s");
static_assert(offsetof(Parameters, W.d) == 24, "Parameters.W.d");
static_assert(offsetof(Parameters, cotangent) == 32, "Parameters.cotangent");
static_assert(offsetof(Parameters, y) == 40, "Parameters.y");
static_assert(offsetof(Parameters, residual) == 48, "Parameters.residual");
static_assert(offsetof(Parameters, K) == 56, "Parameters.K");
static_assert(offsetof(Parameters, M) == 60, "Parameters.M");
static_assert(offsetof(Parameters, N) == 64, "Parameters.N");
static_assert(offsetof(Parameters, first) == 68, "Parameters.first");
static_assert(offsetof(Parameters, pitch) == 72, "Parameters.pitch");
static_assert(offsetof(Parameters, cotangent_stride) == 76, "Parameters.cotangent_stride");
static_assert(offsetof(Parameters, y_stride) == 80, "Parameters.y_stride");
static_assert(offsetof(Parameters, residual_stride) == 84, "Parameters.residual_stride");
