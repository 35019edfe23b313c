// From the .wgsl files to the WGSL of a kernel: declarations of its parameters and of the step, generated from the
// structs that launches encode, and then the file, by a small preprocessor. Directives are comments, so that the files
// stay WGSL to an editor:
//   //#include "name", //#include NAME       another file; NAME is one of the given names
//   //#if NAME ... //#else ... //#endif      by the given flags; an unknown name is off
//   //#repeat I COUNT ... //#end             the lines COUNT times, with @I replaced by 0, 1, ...; loops may nest
// @EVEN(I) and @ODD(I) within a repetition are 2 I and 2 I + 1. Numbers among the values become WGSL constants.

import { type Struct, wgslStruct } from "@polyllama/planner";
import { kernelSources } from "./kernels/generated.ts";
import { stepDeclarations } from "./program/step.ts";

export type KernelName = keyof typeof kernelSources;
/** Numbers become constants, true flags, names files to include. */
export type ShaderValues = Readonly<Record<string, number | boolean | string>>;

/** What a kernel is made from. */
export interface ShaderSpec {
  readonly kernel: KernelName;
  /** What its uniform holds. */
  readonly parameters: Struct;
  /** Structs of its storage buffers, by name. */
  readonly structs?: Readonly<Record<string, Struct>>;
  readonly values: ShaderValues;
}

/** The WGSL of a kernel. */
export function shaderSource({ kernel, parameters, structs = {}, values }: ShaderSpec): string {
  const constants = Object.entries(values)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => `const ${name} = ${value}u;\n`);
  const enabled = values["SUBGROUPS"] === true ? "enable subgroups;\n" : "";
  const declared = `${wgslStruct("Parameters", parameters)}@group(0) @binding(0) var<uniform> P: Parameters;\n`;
  const others = Object.entries(structs).map(([name, fields]) => wgslStruct(name, fields));
  return [enabled, ...constants, declared, stepDeclarations, ...others, expand(lines(kernel), values).join("\n")].join(
    "",
  );
}

function lines(kernel: string): readonly string[] {
  return kernelSources[kernel as KernelName].split("\n"); // included names are those of files, which a test checks
}

function expand(source: readonly string[], values: ShaderValues): string[] {
  const output: string[] = [];
  for (let at = 0; at < source.length; at++) {
    const line = source[at]!;
    const [directive, first, second] = line.trim().split(/\s+/);
    switch (directive) {
      case "//#include":
        output.push(...expand(lines(first!.startsWith('"') ? first!.slice(1, -1) : String(values[first!])), values));
        break;
      case "//#if": {
        const end = closing(source, at, "//#if", "//#endif");
        const middle = otherwise(source, at, end);
        const kept = values[first!] ? source.slice(at + 1, middle) : source.slice(middle + 1, end);
        output.push(...expand(kept, values));
        at = end;
        break;
      }
      case "//#repeat": {
        const end = closing(source, at, "//#repeat", "//#end");
        const count = Number(values[second!] ?? second);
        for (let i = 0; i < count; i++)
          output.push(...expand(substitute(source.slice(at + 1, end), first!, i), values));
        at = end;
        break;
      }
      default:
        output.push(line);
    }
  }
  return output;
}

function substitute(body: readonly string[], variable: string, value: number): string[] {
  return body.map((line) =>
    line
      .replaceAll(`@EVEN(${variable})`, `${2 * value}`)
      .replaceAll(`@ODD(${variable})`, `${2 * value + 1}`)
      .replaceAll(`@${variable}`, `${value}`),
  );
}

function closing(source: readonly string[], start: number, open: string, close: string): number {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    const word = source[at]!.trim().split(/\s+/)[0];
    if (word === open) depth++;
    if (word === close && --depth === 0) return at;
  }
  throw new Error(`${source[start]} is not closed`);
}

/** The line of the `//#else` between two lines, or the second of them. */
function otherwise(source: readonly string[], start: number, end: number): number {
  let depth = 0;
  for (let at = start + 1; at < end; at++) {
    const word = source[at]!.trim().split(/\s+/)[0];
    if (word === "//#if") depth++;
    if (word === "//#endif") depth--;
    if (word === "//#else" && depth === 0) return at;
  }
  return end;
}
