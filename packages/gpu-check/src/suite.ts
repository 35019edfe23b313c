// The conformance suite within a time budget: the cheapest case of every operation, format and model first, then the
// second cheapest of each, and so on, so that whatever the budget is, it is spent on breadth.

import { type CaseResult, type ConformanceCase, conformanceCases } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";

export interface SuiteResult {
  readonly backend: string;
  readonly device: string;
  readonly seconds: number;
  /** Cases of the suite. */
  readonly total: number;
  /** Cases that were run, those included that the device refuses. */
  readonly ran: number;
  readonly passed: number;
  readonly unsupported: number;
  readonly failures: readonly CaseResult[];
  /** Largest error of a case that passed, as a share of its bound. */
  readonly worst: number;
  /** What was left out entirely, as `op:linear:q4_0`. */
  readonly notReached: readonly string[];
}

export interface SuiteOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onCase?: (done: number, total: number, address: string) => void;
  /** Default: the whole suite; cases of training only where the device trains. */
  readonly cases?: readonly ConformanceCase[];
}

export async function runSuite(device: Device, options: SuiteOptions): Promise<SuiteResult> {
  const { seconds, seed, signal, onCase } = options;
  const { updates } = device.features;
  const { cases = conformanceCases().filter(({ training = false }) => updates || !training) } = options;
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  const ordered = breadthFirst(cases);
  const results: CaseResult[] = [];
  for (const { address, run } of ordered) {
    if (elapsed() >= seconds) break;
    signal.throwIfAborted();
    onCase?.(results.length, ordered.length, address);
    results.push(await run(device, seed));
  }
  const passed = results.filter(({ status }) => status === "passed");
  const reached = new Set(results.map(({ address }) => kindOf(address)));
  const kinds = new Set(cases.map(({ address }) => kindOf(address)));
  return {
    backend: device.name,
    device: device.describe().device,
    seconds: elapsed(),
    total: ordered.length,
    ran: results.length,
    passed: passed.length,
    unsupported: results.filter(({ status }) => status === "unsupported").length,
    failures: results.filter(({ status }) => status === "failed"),
    worst: passed.reduce((most, { worst }) => Math.max(most, worst), 0),
    notReached: [...kinds].filter((kind) => !reached.has(kind)),
  };
}

/** Cases in the order in which a limited time is best spent on them. */
export function breadthFirst(cases: readonly ConformanceCase[]): readonly ConformanceCase[] {
  const kinds = new Map<string, ConformanceCase[]>();
  for (const entry of cases) {
    const kind = kindOf(entry.address);
    kinds.set(kind, [...(kinds.get(kind) ?? []), entry]);
  }
  const ranked = [...kinds.values()].flatMap((members) =>
    members
      .map((member) => ({ member, cost: costOf(member.address) }))
      .sort((a, b) => a.cost - b.cost)
      .map((entry, rank) => ({ ...entry, rank })),
  );
  // Whole layers of the published models take longest by far.
  const late = ({ cost }: { readonly cost: number }): number => (cost >= layerCost ? 1 : 0);
  return ranked.sort((a, b) => late(a) - late(b) || a.rank - b.rank || a.cost - b.cost).map(({ member }) => member);
}

/** What a layer of a published model counts as. */
const layerCost = 1e9;

/** Suite, name and format: what must not be left out as long as there is time. */
function kindOf(address: string): string {
  const [suite, name, parameters = ""] = address.split(":");
  const [, kind] = /(?:^|;)(?:format|model)=([^;]+)/.exec(parameters) ?? [];
  return [suite, name, ...(kind === undefined ? [] : [kind])].join(":");
}

/** The product of a case's sizes; positions and factors cost nothing. */
function costOf(address: string): number {
  if (address.startsWith("model:layer")) return layerCost;
  const sizes = [...address.matchAll(/[:;](?!position|theta|factor)\w+=(\d+)(?=;|$)/g)].map(([, size]) => Number(size));
  return sizes.reduce((product, size) => product * Math.max(1, size), 1);
}
