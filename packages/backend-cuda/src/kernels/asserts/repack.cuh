// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 64, "Parameters");
static_assert(offsetof(Parameters, from) == 0, "Parameters.from");
static_assert(offsetof(Parameters, to) == 8, "Parameters.to");
static_assert(offsetof(Parameters, note) == 16, "Parameters.note");
static_assert(offsetof(Parameters, from_pitch) == 24, "Parameters.from_pitch");
static_assert(offsetof(Parameters, offset) == 28, "Parameters.offset");
static_assert(offsetof(Parameters, size) == 32, "Parameters.size");
static_assert(offsetof(Parameters, to_pitch) == 36, "Parameters.to_pitch");
static_assert(offsetof(Parameters, blocks) == 40, "Parameters.blocks");
static_assert(offsetof(Parameters, words) == 44, "Parameters.words");
static_assert(offsetof(Parameters, bit) == 48, "Parameters.bit");
static_assert(offsetof(Parameters, exponent) == 52, "Parameters.exponent");
static_assert(offsetof(Parameters, piece) == 56, "Parameters.piece");
