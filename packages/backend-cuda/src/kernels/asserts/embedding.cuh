// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 64, "Parameters");
static_assert(offsetof(Parameters, W.q) == 0, "Parameters.W.q");
static_assert(offsetof(Parameters, W.h) == 8, "Parameters.W.h");
static_assert(offsetof(Parameters, W.s) == 16, "Parameters.W.s");
static_assert(offsetof(Parameters, W.d) == 24, "Parameters.W.d");
static_assert(offsetof(Parameters, rows) == 32, "Parameters.rows");
static_assert(offsetof(Parameters, y) == 40, "Parameters.y");
static_assert(offsetof(Parameters, K) == 48, "Parameters.K");
static_assert(offsetof(Parameters, pitch) == 52, "Parameters.pitch");
static_assert(offsetof(Parameters, y_stride) == 56, "Parameters.y_stride");
