// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 56, "Parameters");
static_assert(offsetof(Parameters, x) == 0, "Parameters.x");
static_assert(offsetof(Parameters, cotangent) == 8, "Parameters.cotangent");
static_assert(offsetof(Parameters, y) == 16, "Parameters.y");
static_assert(offsetof(Parameters, residual) == 24, "Parameters.residual");
static_assert(offsetof(Parameters, K) == 32, "Parameters.K");
static_assert(offsetof(Parameters, M) == 36, "Parameters.M");
static_assert(offsetof(Parameters, N) == 40, "Parameters.N");
static_assert(offsetof(Parameters, x_stride) == 44, "Parameters.x_stride");
static_assert(offsetof(Parameters, cotangent_stride) == 48, "Parameters.cotangent_stride");
static_assert(offsetof(Parameters, y_stride) == 52, "Parameters.y_stride");
