// native/structs.h: the declarations of src/native/structs.ts in C++.

import { type FieldType, struct } from "@polyllama/planner";
import { formatNumbers } from "../src/native/formats.ts";
import { draw, partKeys, row, run, sequence, splitRows, stepBytes, steps, unrotated } from "../src/native/structs.ts";
import { structsHash } from "../src/native/structs-hash.ts";

const cTypes: Readonly<Record<FieldType, string>> = { u32: "u32", u64: "u64", f32: "float", f64: "double" };

function declaration(name: string, fields: Readonly<Record<string, FieldType>>): string {
  const { offsets, size } = struct(fields);
  const members = Object.entries(fields).map(([field, type]) => `  ${cTypes[type]} ${field};`);
  const checks = Object.entries(offsets).map(
    ([field, offset]) => `static_assert(__builtin_offsetof(${name}, ${field}) == ${offset}, "${name}.${field}");`,
  );
  return [
    `struct ${name} {`,
    ...members,
    "};",
    `static_assert(sizeof(${name}) == ${size}, "${name}");`,
    ...checks,
  ].join("\n");
}

const capital = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1)}`; // names are not empty

/** The text of the header. */
export function structsHeader(): string {
  const names = Object.keys(steps);
  const body = [
    declaration("Run", run),
    declaration("Row", row),
    declaration("Sequence", sequence),
    declaration("Draw", draw),
    ...Object.entries(steps).map(([name, fields]) => declaration(`${capital(name)}Step`, fields)),
    `enum StepKind : u32 { ${names.map((name, i) => `step_${name} = ${i}`).join(", ")} };`,
    `constexpr u32 step_kinds = ${names.length}, step_bytes = ${stepBytes}, unrotated = ${unrotated}u;`,
    `constexpr u32 part_keys = ${partKeys}, split_rows = ${splitRows};`,
    ...Object.keys(steps).map((name) => `static_assert(sizeof(${capital(name)}Step) <= step_bytes, "${name}");`),
    `enum FormatNumber : u32 { ${Object.entries(formatNumbers)
      .map(([name, number]) => `format_${name} = ${number}`)
      .join(", ")} };`,
  ].join("\n\n");
  return [
    "// Written by `npm run build:kernels` from src/native/structs.ts.",
    "#pragma once",
    '#include "types.h"',
    "",
    body,
    "",
    "/** What the library answers when it is asked of which declarations it was built. */",
    `constexpr u32 structs_hash = ${structsHash}u;`,
    "",
  ].join("\n");
}
