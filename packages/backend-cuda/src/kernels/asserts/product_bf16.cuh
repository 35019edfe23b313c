// Written by scripts/kernel-structs.ts.
static_assert(sizeof(RoundParameters) == 32, "RoundParameters");
static_assert(offsetof(RoundParameters, x) == 0, "RoundParameters.x");
static_assert(offsetof(RoundParameters, y) == 8, "RoundParameters.y");
static_assert(offsetof(RoundParameters, columns) == 16, "RoundParameters.columns");
static_assert(offsetof(RoundParameters, x_stride) == 20, "RoundParameters.x_stride");
static_assert(offsetof(RoundParameters, y_stride) == 24, "RoundParameters.y_stride");
static_assert(sizeof(ProductParameters) == 64, "ProductParameters");
static_assert(offsetof(ProductParameters, a) == 0, "ProductParameters.a");
static_assert(offsetof(ProductParameters, b) == 8, "ProductParameters.b");
static_assert(offsetof(ProductParameters, y) == 16, "ProductParameters.y");
static_assert(offsetof(ProductParameters, residual) == 24, "ProductParameters.residual");
static_assert(offsetof(ProductParameters, rows) == 32, "ProductParameters.rows");
static_assert(offsetof(ProductParameters, columns) == 36, "ProductParameters.columns");
static_assert(offsetof(ProductParameters, depth) == 40, "ProductParameters.depth");
static_assert(offsetof(ProductParameters, a_stride) == 44, "ProductParameters.a_stride");
static_assert(offsetof(ProductParameters, b_stride) == 48, "ProductParameters.b_stride");
static_assert(offsetof(ProductParameters, y_stride) == 52, "ProductParameters.y_stride");
static_assert(offsetof(ProductParameters, residual_stride) == 56, "ProductParameters.residual_stride");
