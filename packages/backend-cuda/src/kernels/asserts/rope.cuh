// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 48, "Parameters");
static_assert(offsetof(Parameters, x) == 0, "Parameters.x");
static_assert(offsetof(Parameters, y) == 8, "Parameters.y");
static_assert(offsetof(Parameters, rotation) == 16, "Parameters.rotation");
static_assert(offsetof(Parameters, pairs) == 24, "Parameters.pairs");
static_assert(offsetof(Parameters, head_pairs) == 28, "Parameters.head_pairs");
static_assert(offsetof(Parameters, x_stride) == 32, "Parameters.x_stride");
static_assert(offsetof(Parameters, y_stride) == 36, "Parameters.y_stride");
static_assert(offsetof(Parameters, rotation_stride) == 40, "Parameters.rotation_stride");
