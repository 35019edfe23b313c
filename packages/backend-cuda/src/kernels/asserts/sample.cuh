// Written by scripts/kernel-structs.ts.
static_assert(sizeof(State) == 40, "State");
static_assert(offsetof(State, p) == 0, "State.p");
static_assert(offsetof(State, seed_low) == 8, "State.seed_low");
static_assert(offsetof(State, seed_high) == 12, "State.seed_high");
static_assert(offsetof(State, scale) == 16, "State.scale");
static_assert(offsetof(State, position) == 20, "State.position");
static_assert(offsetof(State, top_k) == 24, "State.top_k");
static_assert(offsetof(State, least) == 28, "State.least");
static_assert(offsetof(State, greedy) == 32, "State.greedy");
static_assert(offsetof(State, take) == 36, "State.take");
static_assert(sizeof(Parameters) == 48, "Parameters");
static_assert(offsetof(Parameters, logits) == 0, "Parameters.logits");
static_assert(offsetof(Parameters, table) == 8, "Parameters.table");
static_assert(offsetof(Parameters, state) == 16, "Parameters.state");
static_assert(offsetof(Parameters, rows) == 24, "Parameters.rows");
static_assert(offsetof(Parameters, chosen) == 32, "Parameters.chosen");
static_assert(offsetof(Parameters, V) == 40, "Parameters.V");
