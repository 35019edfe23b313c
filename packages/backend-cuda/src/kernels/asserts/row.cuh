// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Row) == 24, "Row");
static_assert(offsetof(Row, cache) == 0, "Row.cache");
static_assert(offsetof(Row, capacity) == 8, "Row.capacity");
static_assert(offsetof(Row, position) == 12, "Row.position");
static_assert(offsetof(Row, token) == 16, "Row.token");
static_assert(offsetof(Row, format) == 20, "Row.format");
