// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 40, "Parameters");
static_assert(offsetof(Parameters, a) == 0, "Parameters.a");
static_assert(offsetof(Parameters, b) == 8, "Parameters.b");
static_assert(offsetof(Parameters, y) == 16, "Parameters.y");
static_assert(offsetof(Parameters, width) == 24, "Parameters.width");
static_assert(offsetof(Parameters, a_stride) == 28, "Parameters.a_stride");
static_assert(offsetof(Parameters, b_stride) == 32, "Parameters.b_stride");
static_assert(offsetof(Parameters, y_stride) == 36, "Parameters.y_stride");
