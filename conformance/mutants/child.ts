// Runs cases on one backend, mutated or clean, in a process of its own, so that a fault that hangs or crashes takes
// nothing else with it. Its order comes as JSON in the first argument; its answer is the last line of its output.

import { readFileSync } from "node:fs";
import { type Expectations, judge } from "@polyllama/conformance";
import type { MutatedPackage } from "./mutant.ts";
import { f32Roundings, type Stage, suiteCases, type Watched, watch } from "./suite.ts";

export interface Order {
  /** URL of the backend package's index. */
  readonly index: string;
  readonly package: MutatedPackage;
  readonly seed: number;
  readonly stages: readonly Stage[];
  /** Leaves out cases that cost more. */
  readonly most?: number;
  /** Addresses: these alone, or all but these. */
  readonly only?: readonly string[];
  readonly except?: readonly string[];
}

export interface Answer {
  /** Cases run to their end without a finding. */
  readonly passed: number;
  /** Cases left out for their cost. */
  readonly skipped: number;
  /** Why the fault is not one that only numbers betray. */
  readonly broken?: string;
  readonly found?: {
    readonly stage: Stage;
    readonly address: string;
    /** Error over bound, as text: where the bound is zero it is Infinity, which JSON lacks. */
    readonly worst: string;
    readonly detail: string;
  };
}

/** What the onnxruntime backend refuses, and is no finding. */
const expectations: Expectations = JSON.parse(
  readFileSync(new URL("../expectations/onnxruntime.json", import.meta.url), "utf8"),
);

async function open({ index, package: name }: Order): Promise<Watched> {
  const backends = await import(index);
  return name === "backend-onnxruntime"
    ? watch(backends.onnxruntime({ activations: "f32", threads: 1, cacheFolder: false }))
    : watch(backends.reference(), f32Roundings);
}

async function run(order: Order): Promise<Answer> {
  const { seed, stages, only, except, most = Infinity } = order;
  const backend = await open(order);
  let passed = 0;
  let skipped = 0;
  for (const { stage, address, cost, run: runOne } of suiteCases(order.package === "backend-reference")) {
    if (!stages.includes(stage) || only?.includes(address) === false || except?.includes(address)) continue;
    if (cost > most) {
      skipped++;
      continue;
    }
    const result = await runOne(backend, seed);
    const { status, worst, detail } = result;
    if (backend.broken !== undefined) return { passed, skipped, broken: `${address}: ${backend.broken}` };
    if (status === "unsupported" && judge(result, expectations).verdict === "expected unsupported") {
      skipped++;
      continue;
    }
    if (status === "unsupported") return { passed, skipped, broken: `${address}: ${detail}` };
    if (status === "failed") return { passed, skipped, found: { stage, address, worst: String(worst), detail } };
    passed++;
  }
  return { passed, skipped };
}

const answer = await run(JSON.parse(process.argv[2]!));
process.stdout.write(`\n${JSON.stringify(answer)}\n`);
process.exit(0);
