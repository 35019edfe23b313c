// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 72, "Parameters");
static_assert(offsetof(Parameters, rows) == 0, "Parameters.rows");
static_assert(offsetof(Parameters, q) == 8, "Parameters.q");
static_assert(offsetof(Parameters, y) == 16, "Parameters.y");
static_assert(offsetof(Parameters, count) == 24, "Parameters.count");
static_assert(offsetof(Parameters, before) == 28, "Parameters.before");
static_assert(offsetof(Parameters, heads) == 32, "Parameters.heads");
static_assert(offsetof(Parameters, kv_heads) == 36, "Parameters.kv_heads");
static_assert(offsetof(Parameters, d) == 40, "Parameters.d");
static_assert(offsetof(Parameters, block_heads) == 44, "Parameters.block_heads");
static_assert(offsetof(Parameters, block_rows) == 48, "Parameters.block_rows");
static_assert(offsetof(Parameters, q_stride) == 52, "Parameters.q_stride");
static_assert(offsetof(Parameters, y_stride) == 56, "Parameters.y_stride");
static_assert(offsetof(Parameters, scale) == 60, "Parameters.scale");
static_assert(offsetof(Parameters, left_out) == 64, "Parameters.left_out");
