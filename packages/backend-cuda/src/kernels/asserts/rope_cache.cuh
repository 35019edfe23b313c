// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 96, "Parameters");
static_assert(offsetof(Parameters, rows) == 0, "Parameters.rows");
static_assert(offsetof(Parameters, q) == 8, "Parameters.q");
static_assert(offsetof(Parameters, k) == 16, "Parameters.k");
static_assert(offsetof(Parameters, v) == 24, "Parameters.v");
static_assert(offsetof(Parameters, rotated) == 32, "Parameters.rotated");
static_assert(offsetof(Parameters, q_rotation) == 40, "Parameters.q_rotation");
static_assert(offsetof(Parameters, k_rotation) == 48, "Parameters.k_rotation");
static_assert(offsetof(Parameters, before) == 56, "Parameters.before");
static_assert(offsetof(Parameters, q_pairs) == 60, "Parameters.q_pairs");
static_assert(offsetof(Parameters, kv_pairs) == 64, "Parameters.kv_pairs");
static_assert(offsetof(Parameters, head_pairs) == 68, "Parameters.head_pairs");
static_assert(offsetof(Parameters, q_stride) == 72, "Parameters.q_stride");
static_assert(offsetof(Parameters, k_stride) == 76, "Parameters.k_stride");
static_assert(offsetof(Parameters, v_stride) == 80, "Parameters.v_stride");
static_assert(offsetof(Parameters, rotated_stride) == 84, "Parameters.rotated_stride");
static_assert(offsetof(Parameters, rotation_stride) == 88, "Parameters.rotation_stride");
