// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 40, "Parameters");
static_assert(offsetof(Parameters, x) == 0, "Parameters.x");
static_assert(offsetof(Parameters, y) == 8, "Parameters.y");
static_assert(offsetof(Parameters, count) == 16, "Parameters.count");
static_assert(offsetof(Parameters, width) == 24, "Parameters.width");
static_assert(offsetof(Parameters, x_stride) == 28, "Parameters.x_stride");
static_assert(offsetof(Parameters, y_stride) == 32, "Parameters.y_stride");
static_assert(offsetof(Parameters, factor) == 36, "Parameters.factor");
