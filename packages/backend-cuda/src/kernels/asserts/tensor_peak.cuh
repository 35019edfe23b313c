// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 16, "Parameters");
static_assert(offsetof(Parameters, y) == 0, "Parameters.y");
static_assert(offsetof(Parameters, rounds) == 8, "Parameters.rounds");
