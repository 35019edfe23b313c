// What a check of a card found, as data: the JSON that it writes.

import type { CudaStatus } from "@polyllama/backend-cuda";
import type { Sanitized, TorchResult } from "../programs.ts";
import type { BenchResult } from "../speed/tasks.ts";
import type { SuiteResult } from "../suite.ts";

/** Something that could not be done, and why. */
export interface NotRun {
  readonly notRun: string;
}

export interface GpuReport {
  readonly polyllama: string;
  readonly node: string;
  readonly platform: string;
  readonly date: string;
  /** Number of the card. */
  readonly device: number;
  seconds: number;
  /** `unfinished` while it runs, and when it was killed. */
  status: "passed" | "failed" | "not run" | "unfinished";
  verdict: string;
  card?: CudaStatus;
  readonly conformance: (SuiteResult | (NotRun & { readonly backend: string }))[];
  sanitizer?: Sanitized;
  bench?: GpuBench;
}

export interface GpuBench {
  /** Of the card's own copies, bytes per second, read and written bytes both counted. */
  bandwidth?: number;
  /** Floating point operations per second of bf16 products: of `mma.sync` alone, and of a large matrix in PyTorch. */
  peak?: { own?: number; torch?: number };
  readonly results: BenchResult[];
  torch?: TorchResult | NotRun;
}

/** All that went wrong, for one sentence. */
export function failures({ conformance, sanitizer, bench }: GpuReport): readonly string[] {
  const many = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
  return [
    ...conformance.flatMap((result) =>
      "notRun" in result || result.failures.length === 0
        ? []
        : [`${many(result.failures.length, "case")} of ${result.backend} failed`],
    ),
    ...(sanitizer !== undefined && "errors" in sanitizer && sanitizer.errors > 0
      ? [`compute-sanitizer found ${many(sanitizer.errors, "error")}`]
      : []),
    ...(bench?.results ?? []).flatMap(({ label, measurements }) =>
      measurements.flatMap(({ what, failed }) => (failed === undefined ? [] : [`${label}, ${what} failed`])),
    ),
  ];
}
