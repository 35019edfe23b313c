// Written by scripts/kernel-structs.ts.
static_assert(sizeof(ExponentParameters) == 56, "ExponentParameters");
static_assert(offsetof(ExponentParameters, W.q) == 0, "ExponentParameters.W.q");
static_assert(offsetof(ExponentParameters, W.h) == 8, "ExponentParameters.W.h");
static_assert(offsetof(ExponentParameters, W.s) == 16, "ExponentParameters.W.s");
static_assert(offsetof(ExponentParameters, W.d) == 24, "ExponentParameters.W.d");
static_assert(offsetof(ExponentParameters, exponents) == 32, "ExponentParameters.exponents");
static_assert(offsetof(ExponentParameters, rows) == 40, "ExponentParameters.rows");
static_assert(offsetof(ExponentParameters, K) == 44, "ExponentParameters.K");
static_assert(offsetof(ExponentParameters, pitch) == 48, "ExponentParameters.pitch");
