// Written by scripts/kernel-structs.ts.
static_assert(sizeof(LinkParameters) == 24, "LinkParameters");
static_assert(offsetof(LinkParameters, rows) == 0, "LinkParameters.rows");
static_assert(offsetof(LinkParameters, links) == 8, "LinkParameters.links");
static_assert(offsetof(LinkParameters, count) == 16, "LinkParameters.count");
static_assert(sizeof(Parameters) == 56, "Parameters");
static_assert(offsetof(Parameters, rows) == 0, "Parameters.rows");
static_assert(offsetof(Parameters, links) == 8, "Parameters.links");
static_assert(offsetof(Parameters, cotangent) == 16, "Parameters.cotangent");
static_assert(offsetof(Parameters, y) == 24, "Parameters.y");
static_assert(offsetof(Parameters, count) == 32, "Parameters.count");
static_assert(offsetof(Parameters, table_rows) == 36, "Parameters.table_rows");
static_assert(offsetof(Parameters, width) == 40, "Parameters.width");
static_assert(offsetof(Parameters, cotangent_stride) == 44, "Parameters.cotangent_stride");
static_assert(offsetof(Parameters, y_stride) == 48, "Parameters.y_stride");
