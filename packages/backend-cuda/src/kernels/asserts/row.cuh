// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Row) == 32, "Row");
static_assert(offsetof(Row, pool) == 0, "Row.pool");
static_assert(offsetof(Row, table) == 8, "Row.table");
static_assert(offsetof(Row, block_bytes) == 16, "Row.block_bytes");
static_assert(offsetof(Row, position) == 20, "Row.position");
static_assert(offsetof(Row, token) == 24, "Row.token");
static_assert(offsetof(Row, format) == 28, "Row.format");
static_assert(kv_block_rows == 32, "kv_block_rows");
