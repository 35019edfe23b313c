// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 56, "Parameters");
static_assert(offsetof(Parameters, rows) == 0, "Parameters.rows");
static_assert(offsetof(Parameters, q) == 8, "Parameters.q");
static_assert(offsetof(Parameters, y) == 16, "Parameters.y");
static_assert(offsetof(Parameters, before) == 24, "Parameters.before");
static_assert(offsetof(Parameters, heads) == 28, "Parameters.heads");
static_assert(offsetof(Parameters, kv_heads) == 32, "Parameters.kv_heads");
static_assert(offsetof(Parameters, d) == 36, "Parameters.d");
static_assert(offsetof(Parameters, q_stride) == 40, "Parameters.q_stride");
static_assert(offsetof(Parameters, parts) == 44, "Parameters.parts");
static_assert(offsetof(Parameters, scale) == 48, "Parameters.scale");
static_assert(part_keys == 256, "part_keys");
