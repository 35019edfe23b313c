// One operation, held against the reference element by element. A case is built from its seed into a script: a graph with its
// weights, and runs of it on one or more caches. Every run's output must lie within the bound that follows from the
// backend's declared roundings; what is too large to compute exactly is computed for some columns and checked for the rest.

import { compileReference, type ReferenceProgram } from "@polyllama/backend-reference";
import {
  type Backend,
  type CacheFormat,
  type Graph,
  type KvCache,
  type OpName,
  PolyllamaError,
  type Program,
  type RealArray,
  type SequenceStep,
  type Step,
  type Tensor,
  type WeightSource,
} from "@polyllama/core";
import { formatAddress, type Parameters } from "./address.ts";

/** One operation at one shape and format, with the runs that try it; the address, such as `op:linear:format=q4_0`, names it everywhere. */
export interface OpCase {
  readonly address: string;
  readonly op: OpName;
  readonly parameters: Parameters;
  /** Graph, weights and runs, the same for the same seed. */
  build(seed: number): Script;
}

/** A sequence's part of a run. `cache` counts the script's caches; without one the rows stand alone. */
export interface SequencePart {
  readonly rows: number;
  readonly cache?: number;
  readonly position?: number;
}

export type Action =
  | { readonly run: Step["inputs"]; readonly batch: readonly SequencePart[] }
  | { readonly truncate: number; readonly cache: number }
  /** Copies a cache to a new number. */
  | { readonly fork: number; readonly to: number };

export interface Script {
  readonly graph: Graph;
  readonly weights: WeightSource;
  readonly actions: readonly Action[];
  /** Positions of each cache. */
  readonly capacity?: number;
  /** Format of caches that are to round; default: what the backend has. */
  readonly cache?: CacheFormat;
  /**
   * The graph's output computed for some columns only, exactly: a graph and weights that give those columns, in order. The
   * others must be finite and, as no exact zero is to be expected, not zero.
   */
  readonly sampled?: { readonly graph: Graph; readonly weights: WeightSource; readonly columns: readonly number[] };
}

/** What came of a case on a backend. */
export interface CaseResult {
  readonly address: string;
  /** `unsupported`: the backend refused with ERR_UNSUPPORTED. `absent`: it has no such path, which nobody needs. */
  readonly status: "passed" | "failed" | "unsupported" | "absent";
  /** Largest error as a share of its bound; at most 1 passes. */
  readonly worst: number;
  /** What failed and where, or why it is not supported. */
  readonly detail: string;
}

/** Makes a case of a build function; the address follows from name and parameters. */
export function opCase(op: OpName, parameters: Parameters, build: (seed: number) => Script): OpCase {
  return { address: formatAddress("op", op, parameters), op, parameters, build };
}

/** Runs one case on a backend. */
export function runCase(testCase: OpCase, backend: Backend, seed: number): Promise<CaseResult> {
  return guarded(testCase.address, () => execute(testCase.build(seed), backend));
}

/** What a check saw: the largest share of a bound, and the first problem in words. */
export interface Finding {
  readonly worst: number;
  readonly problem: string | undefined;
}

/** Thrown by a check of a path that the backend does not have; the message says what is not there. */
export class AbsentPath extends Error {}

/** A check's finding as a result. Errors other than ERR_UNSUPPORTED are findings too. */
export async function guarded(address: string, check: () => Promise<Finding>): Promise<CaseResult> {
  try {
    const { worst, problem } = await check();
    return { address, status: problem === undefined ? "passed" : "failed", worst, detail: problem ?? "" };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    if (error instanceof AbsentPath) return { address, status: "absent", worst: 0, detail };
    const unsupported = error instanceof PolyllamaError && error.code === "ERR_UNSUPPORTED";
    return { address, status: unsupported ? "unsupported" : "failed", worst: Infinity, detail };
  }
}

async function execute(script: Script, backend: Backend): Promise<Finding> {
  await using program = await backend.compile(script.graph, script.weights);
  const exact = script.sampled ?? script;
  await using reference = await compileReference(exact.graph, exact.weights);
  const capacity = script.capacity ?? 1;
  const caches = new Map<number, readonly [KvCache, KvCache]>();
  const pair = (index: number): readonly [KvCache, KvCache] => {
    const own = () => program.createCache(capacity, script.cache && { format: script.cache });
    const known = caches.get(index) ?? [own(), reference.createCache(capacity)];
    caches.set(index, known);
    return known;
  };

  let worst = 0;
  let problem: string | undefined;
  for (const [number, action] of script.actions.entries()) {
    if ("truncate" in action) {
      for (const cache of pair(action.cache)) cache.truncate(action.truncate);
    } else if ("fork" in action) {
      const [own, theirs] = pair(action.fork);
      caches.set(action.to, [await own.fork(), await theirs.fork()]);
    } else {
      const finding = await compareRun(script, action, backend, program, reference, pair);
      if (!(finding.worst <= worst)) worst = finding.worst;
      if (finding.problem !== undefined) problem ??= `action ${number}: ${finding.problem}`;
    }
  }
  for (const both of caches.values()) for (const cache of both) cache[Symbol.dispose]();
  return { worst, problem };
}

async function compareRun(
  { graph, sampled, cache }: Script,
  { run: inputs, batch }: Extract<Action, { run: unknown }>,
  backend: Backend,
  program: Program,
  reference: ReferenceProgram,
  pair: (index: number) => readonly [KvCache, KvCache],
): Promise<Finding> {
  const stepOf = (side: 0 | 1): Step => ({
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, guard(data)])),
    batch: batch.map(
      ({ rows, cache, position }): SequenceStep => ({
        rows,
        ...(cache !== undefined && { cache: pair(cache)[side] }),
        ...(position !== undefined && { position }),
      }),
    ),
  });
  const output = graph.outputs[0]!; // an op's graph has one
  const step = stepOf(0);
  const [actual] = await program.run(step, [output]);
  for (const [name, data] of Object.entries(inputs)) {
    const harm = disturbed(step.inputs[name]!, data);
    if (harm !== undefined) return { worst: Infinity, problem: `the input "${name}" ${harm}` };
  }
  const [expected] = await reference.runWithBounds(stepOf(1), [output], {
    ...backend.roundings,
    ...(cache !== undefined && { cache }),
  });
  return compare(actual!, expected!, sampled?.columns);
}

/** Elements before and behind an input that nobody may touch. */
const GUARDS = 64;
const GUARD_VALUE = 12345;

/** A copy that stands between guard values. */
function guard<Data extends Int32Array | RealArray>(data: Data): Data {
  const around = new (data.constructor as new (length: number) => Data)(data.length + 2 * GUARDS); // Data's own constructor
  around.fill(GUARD_VALUE);
  const copy = around.subarray(GUARDS, GUARDS + data.length) as Data; // a view of the same kind
  copy.set(data);
  return copy;
}

/** What happened to a guarded copy, if anything. */
function disturbed(copy: Int32Array | RealArray, data: Int32Array | RealArray): string | undefined {
  if (!data.every((value, i) => Object.is(value, copy[i]))) return "was overwritten";
  const around = new (copy.constructor as new (buffer: ArrayBufferLike) => typeof copy)(copy.buffer); // all of its buffer
  const intact = (i: number): boolean => around[i] === GUARD_VALUE && around[around.length - 1 - i] === GUARD_VALUE;
  return Array.from({ length: GUARDS }, (_, i) => i).every(intact) ? undefined : "was written beyond its ends";
}

/** Holds a tensor against a value and bound, at all columns or, in order, the given ones. */
export function compare(
  actual: Tensor,
  { value, bound }: { readonly value: Tensor; readonly bound: Tensor },
  columns: readonly number[] | undefined,
): Finding {
  const [rows, width] = actual.shape;
  const [expectedRows, expectedWidth] = value.shape;
  if (rows !== expectedRows || width !== (columns === undefined ? expectedWidth : width)) {
    return { worst: Infinity, problem: `shape [${actual.shape}] instead of [${value.shape}]` };
  }
  let worst = 0;
  let problem: string | undefined;
  const where = columns ?? Array.from({ length: width }, (_, column) => column);
  for (let n = 0; n < rows; n++) {
    for (const [i, column] of where.entries()) {
      const got = actual.data[n * width + column]!;
      const exact = value.data[n * expectedWidth + i]!;
      const allowed = bound.data[n * expectedWidth + i]!;
      const error = Math.abs(got - exact);
      const share = error === 0 ? 0 : error / allowed;
      if (share <= worst) continue;
      worst = share;
      if (!(share <= 1))
        problem = `row ${n}, column ${column}: ${got} instead of ${exact}, off by ${error} where ${allowed} is allowed`;
    }
  }
  if (columns !== undefined && problem === undefined) {
    const unwritten = actual.data.findIndex((got) => !Number.isFinite(got) || got === 0);
    if (unwritten >= 0) {
      const [n, column] = [Math.floor(unwritten / width), unwritten % width];
      return {
        worst: Infinity,
        problem: `row ${n}, column ${column}: ${actual.data[unwritten]}, which looks unwritten`,
      };
    }
  }
  return { worst, problem };
}
