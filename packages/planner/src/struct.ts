// Parameters of kernels, declared once. Launches pass an object by field name; the bytes, the WGSL declaration and the
// assertions of CUDA and C++ sources follow from the declaration, so that no kernel can read a field from another place
// than where it was written.

import { PolyllamaError } from "@polyllama/core";

/** Type of a field: unsigned integers of 32 and 64 bits (device addresses), or floats of 32 and 64 bits. */
export type FieldType = "u32" | "u64" | "f32" | "f64";

/** A field of an unsigned integer of 32 bits. */
export const u32 = "u32";
/** A field of an unsigned integer of 64 bits, such as a device address; its values are bigints. */
export const u64 = "u64";
/** A field of a float of 32 bits; values are rounded to it. */
export const f32 = "f32";
/** A field of a float of 64 bits. WGSL has none. */
export const f64 = "f64";

type Fields = Readonly<Record<string, FieldType>>;

/** A value for each field: bigint for u64, number for the others. */
export type StructValues<F extends Fields> = { readonly [Name in keyof F]: F[Name] extends "u64" ? bigint : number };

/**
 * A declared struct. Fields lie in the order of their declaration, each aligned to its own size, as C and WGSL lay them
 * out.
 */
export interface Struct<F extends Fields = Fields> {
  readonly fields: F;
  /** Byte offset of each field. */
  readonly offsets: { readonly [Name in keyof F]: number };
  /** Bytes, a multiple of the largest alignment. */
  readonly size: number;
  /**
   * The bytes of the given values, little-endian.
   *
   * @throws {PolyllamaError} `ERR_GRAPH` for a value that its field cannot hold.
   */
  encode(values: StructValues<F>): ArrayBuffer;
  /** Writes the same bytes at an offset of a view. @throws {PolyllamaError} as {@link encode} */
  write(view: DataView, at: number, values: StructValues<F>): void;
}

const bytesOf: Readonly<Record<FieldType, number>> = { u32: 4, u64: 8, f32: 4, f64: 8 };

/** Declares a struct. Names of fields must not look like array indices, whose order JavaScript changes. */
export function struct<const F extends Fields>(fields: F): Struct<F> {
  const offsets: Record<string, number> = {};
  let end = 0;
  let alignment = 4;
  for (const [name, type] of Object.entries(fields)) {
    const size = bytesOf[type];
    end = Math.ceil(end / size) * size;
    offsets[name] = end;
    end += size;
    alignment = Math.max(alignment, size);
  }
  const size = Math.ceil(end / alignment) * alignment;
  const write = (view: DataView, at: number, values: StructValues<F>): void => {
    for (const [name, type] of Object.entries(fields))
      writeField(view, at + offsets[name]!, name, type, values[name as keyof F]);
  };
  return {
    fields,
    offsets: offsets as { readonly [Name in keyof F]: number }, // filled for every field above
    size,
    write,
    encode(values) {
      const view = new DataView(new ArrayBuffer(size));
      write(view, 0, values);
      return view.buffer;
    },
  };
}

function writeField(view: DataView, offset: number, name: string, type: FieldType, value: number | bigint): void {
  if (type === "f32" && typeof value === "number") view.setFloat32(offset, value, true);
  else if (type === "f64" && typeof value === "number") view.setFloat64(offset, value, true);
  else if (type === "u64" && typeof value === "bigint" && value >= 0n && value < 2n ** 64n)
    view.setBigUint64(offset, value, true);
  else if (type === "u32" && typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32)
    view.setUint32(offset, value, true);
  else throw new PolyllamaError("ERR_GRAPH", `The kernel parameter "${name}" is a ${type}; it cannot be ${value}.`);
}

/**
 * The WGSL declaration.
 *
 * @param rest Declarations of members behind the fields, such as an array of other structs.
 * @throws {PolyllamaError} `ERR_UNSUPPORTED` for types of 64 bits, which WGSL does not have.
 */
export function wgslStruct(name: string, { fields }: Struct, rest: readonly string[] = []): string {
  const lines = Object.entries(fields).map(([field, type]) => {
    if (bytesOf[type] === 4) return `  ${field}: ${type},`;
    throw new PolyllamaError("ERR_UNSUPPORTED", `WGSL has no 64-bit types: field "${field}" of ${name} is ${type}.`);
  });
  return `struct ${name} {\n${[...lines, ...rest.map((member) => `  ${member},`)].join("\n")}\n}\n`;
}

/** Assertions for a CUDA or C++ source that declares the struct itself: its size and the offset of every field. */
export function cudaAssertions(name: string, { offsets, size }: Struct): string {
  const lines = Object.entries(offsets).map(
    ([field, offset]) => `static_assert(offsetof(${name}, ${field}) == ${offset}, "${name}.${field}");`,
  );
  return [`static_assert(sizeof(${name}) == ${size}, "${name}");`, ...lines, ""].join("\n");
}
