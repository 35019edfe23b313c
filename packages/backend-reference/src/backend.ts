// The reference backend: float64 loops that say what every operation means. Slow, obvious, and exact enough to judge the
// others by.

import {
  type AttentionNode,
  type Backend,
  type CompileOptions,
  checkOptions,
  checkWeights,
  columnCount,
  compileOptionTypes,
  type DeviceInfo,
  formatBytes,
  type Graph,
  type MemoryEstimate,
  type OptionSchema,
  option,
  type Program,
  ProgramSet,
  type RoundingProfile,
  resolveWanted,
  rowCount,
  showBriefly,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { assertFinite, formats, offsetFormats } from "@polyllama/formats";
import type { LoadedWeight } from "./loaded-weight.ts";
import type { Perturbation } from "./perturb.ts";
import { ReferenceProgram } from "./program.ts";

/** Options of `reference()`. */
export interface ReferenceOptions {
  /** Move every operation's output at random within the bound of these roundings. */
  readonly perturb?: Perturbation;
}

const roundings: RoundingProfile = {
  unit: 2 ** -53,
  flushesSubnormals: false,
  exp: 2,
  cache: "f64",
  sources: ["ECMAScript: Number is IEEE 754 binary64", "V8: Math.exp is fdlibm's, within 1 ulp"],
};

const optionTypes: OptionSchema<ReferenceOptions> = { perturb: option.anyObject };

/**
 * The float64 backend. Runs everywhere, about a thousand times slower than the others.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for unknown options.
 */
export function reference(options: ReferenceOptions = {}): Backend {
  checkOptions(options, optionTypes, "reference()");
  const programs = new ProgramSet<ReferenceProgram>();
  const backend: Backend = {
    name: "reference",
    roundings,
    describe: (): DeviceInfo => ({ backend: "reference", device: "float64 in JavaScript", details: {} }),
    estimateMemory,
    async compile(graph: Graph, source: WeightSource, compileOptions: CompileOptions = {}): Promise<Program> {
      checkOptions(compileOptions, compileOptionTypes, "compile()");
      return programs.load(compileOptions.signal, async (signal) => {
        const program = await compileReference(graph, source, { ...compileOptions, ...options, signal });
        program.onDispose = () => programs.delete(program);
        return program;
      });
    },
    [Symbol.asyncDispose]: () => programs.dispose(),
  };
  return showBriefly(backend, "Backend", ({ name }) => ({ name }), true);
}

/**
 * Compiles a graph for the reference itself rather than for the contract: the program can also say how far another backend
 * may be from each value.
 *
 * @throws {CheckpointError}
 */
export async function compileReference(
  graph: Graph,
  source: WeightSource,
  options: CompileOptions & ReferenceOptions = {},
): Promise<ReferenceProgram> {
  for (const wanted of options.wanted ?? []) resolveWanted(graph, wanted);
  return new ReferenceProgram(graph, await load(graph, source, options), options.perturb);
}

async function load(
  graph: Graph,
  source: WeightSource,
  { onProgress, signal }: CompileOptions,
): Promise<ReadonlyMap<WeightName, LoadedWeight>> {
  const infos = checkWeights(graph, source);
  const total = infos.reduce((sum, info) => sum + 4 * rowCount(info) * columnCount(info), 0);
  const loaded = new Map<WeightName, LoadedWeight>();
  let done = 0;
  for (const info of infos) {
    const values = new Float32Array(rowCount(info) * columnCount(info));
    // Only blocks that a backend may take apart are kept beside their values.
    const kept = new Uint8Array(info.format in offsetFormats ? formatBytes(info.format, values.length) : 0);
    const step = Math.max(1, Math.floor(2 ** 24 / columnCount(info))); // rows of 64 MiB in all
    for (let first = 0; first < rowCount(info); first += step) {
      signal?.throwIfAborted();
      const count = Math.min(step, rowCount(info) - first);
      const bytes = await source.read(info.name, { first, count }, signal);
      assertFinite(source, info, bytes, first);
      formats[info.format].dequantize(
        bytes,
        values.subarray(first * columnCount(info), (first + count) * columnCount(info)),
      );
      if (kept.length > 0) kept.set(bytes, formatBytes(info.format, first * columnCount(info)));
      done += 4 * count * columnCount(info);
      onProgress?.({ phase: "dequantizing weights", done, total });
    }
    loaded.set(info.name, { info, values, bytes: kept });
  }
  return loaded;
}

function estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, capacity: number): MemoryEstimate {
  const used = graph.weights.map(({ name }) => weights.get(name)).filter((info) => info !== undefined);
  const attentions: readonly AttentionNode[] = graph.nodes.filter((node) => node.op === "attention");
  const widest = Math.max(...graph.widths.values());
  return {
    weights: used.reduce((sum, info) => sum + 4 * rowCount(info) * columnCount(info), 0),
    cache: attentions.reduce((sum, { kvHeads, headDim }) => sum + 16 * kvHeads * headDim * capacity, 0),
    scratch: 8 * 8 * widest * Math.min(capacity, 512),
  };
}
