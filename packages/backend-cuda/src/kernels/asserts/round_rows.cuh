// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 56, "Parameters");
static_assert(offsetof(Parameters, x) == 0, "Parameters.x");
static_assert(offsetof(Parameters, g) == 8, "Parameters.g");
static_assert(offsetof(Parameters, u) == 16, "Parameters.u");
static_assert(offsetof(Parameters, y) == 24, "Parameters.y");
static_assert(offsetof(Parameters, K) == 32, "Parameters.K");
static_assert(offsetof(Parameters, columns) == 36, "Parameters.columns");
static_assert(offsetof(Parameters, x_stride) == 40, "Parameters.x_stride");
static_assert(offsetof(Parameters, u_stride) == 44, "Parameters.u_stride");
static_assert(offsetof(Parameters, y_stride) == 48, "Parameters.y_stride");
static_assert(offsetof(Parameters, eps) == 52, "Parameters.eps");
