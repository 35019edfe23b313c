// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 48, "Parameters");
static_assert(offsetof(Parameters, rows) == 0, "Parameters.rows");
static_assert(offsetof(Parameters, partials) == 8, "Parameters.partials");
static_assert(offsetof(Parameters, y) == 16, "Parameters.y");
static_assert(offsetof(Parameters, heads) == 24, "Parameters.heads");
static_assert(offsetof(Parameters, d) == 28, "Parameters.d");
static_assert(offsetof(Parameters, parts) == 32, "Parameters.parts");
static_assert(offsetof(Parameters, part_keys) == 36, "Parameters.part_keys");
static_assert(offsetof(Parameters, y_stride) == 40, "Parameters.y_stride");
