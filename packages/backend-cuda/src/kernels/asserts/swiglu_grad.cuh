// Written by scripts/kernel-structs.ts.
static_assert(sizeof(Parameters) == 64, "Parameters");
static_assert(offsetof(Parameters, gate) == 0, "Parameters.gate");
static_assert(offsetof(Parameters, up) == 8, "Parameters.up");
static_assert(offsetof(Parameters, cotangent) == 16, "Parameters.cotangent");
static_assert(offsetof(Parameters, gate_grad) == 24, "Parameters.gate_grad");
static_assert(offsetof(Parameters, up_grad) == 32, "Parameters.up_grad");
static_assert(offsetof(Parameters, width) == 40, "Parameters.width");
static_assert(offsetof(Parameters, gate_stride) == 44, "Parameters.gate_stride");
static_assert(offsetof(Parameters, up_stride) == 48, "Parameters.up_stride");
static_assert(offsetof(Parameters, cotangent_stride) == 52, "Parameters.cotangent_stride");
static_assert(offsetof(Parameters, gate_grad_stride) == 56, "Parameters.gate_grad_stride");
static_assert(offsetof(Parameters, up_grad_stride) == 60, "Parameters.up_grad_stride");
