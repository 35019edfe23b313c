// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 88, "Parameters");
static_assert(offsetof(Parameters, q) == 0, "Parameters.q");
static_assert(offsetof(Parameters, k) == 8, "Parameters.k");
static_assert(offsetof(Parameters, v) == 16, "Parameters.v");
static_assert(offsetof(Parameters, bounds) == 24, "Parameters.bounds");
static_assert(offsetof(Parameters, y) == 32, "Parameters.y");
static_assert(offsetof(Parameters, log_sum_exp) == 40, "Parameters.log_sum_exp");
static_assert(offsetof(Parameters, group) == 48, "Parameters.group");
static_assert(offsetof(Parameters, rows) == 52, "Parameters.rows");
static_assert(offsetof(Parameters, d) == 56, "Parameters.d");
static_assert(offsetof(Parameters, q_stride) == 60, "Parameters.q_stride");
static_assert(offsetof(Parameters, k_stride) == 64, "Parameters.k_stride");
static_assert(offsetof(Parameters, v_stride) == 68, "Parameters.v_stride");
static_assert(offsetof(Parameters, y_stride) == 72, "Parameters.y_stride");
static_assert(offsetof(Parameters, sum_stride) == 76, "Parameters.sum_stride");
static_assert(offsetof(Parameters, scale) == 80, "Parameters.scale");
