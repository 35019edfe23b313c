// What authors of backends use.

export {
  cudaAssertions,
  type FieldType,
  f32,
  f64,
  type Struct,
  type StructValues,
  struct,
  u32,
  u64,
  wgslStruct,
} from "./struct.ts";
