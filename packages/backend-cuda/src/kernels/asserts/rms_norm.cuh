// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 40, "Parameters");
static_assert(offsetof(Parameters, x) == 0, "Parameters.x");
static_assert(offsetof(Parameters, g) == 8, "Parameters.g");
static_assert(offsetof(Parameters, y) == 16, "Parameters.y");
static_assert(offsetof(Parameters, width) == 24, "Parameters.width");
static_assert(offsetof(Parameters, x_stride) == 28, "Parameters.x_stride");
static_assert(offsetof(Parameters, y_stride) == 32, "Parameters.y_stride");
static_assert(offsetof(Parameters, eps) == 36, "Parameters.eps");
