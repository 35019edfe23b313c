// Where a backend is held to the suite: in this process, in Deno or in a page of Chromium. Cases run one at a time, by
// address, so that results arrive as they are made, and one that never ends is known by its name.

import type { CaseResult, loweredLimits } from "@polyllama/conformance";
import type { DeviceInfo } from "@polyllama/core";

export interface Environment extends AsyncDisposable {
  readonly info: DeviceInfo;
  /** Addresses of all cases, as the code there lists them. */
  readonly addresses: readonly string[];
  /** @throws when the environment itself failed: it ended, or the case took longer than it may. */
  run(address: string, seed: number): Promise<CaseResult>;
}

/** Longest that one case may take. */
export const caseTimeout = 180_000;

/** What a process or page is asked for, and answers; plain data. */
export interface Remote {
  open(backend: RemoteBackend): Promise<{ readonly info: DeviceInfo; readonly addresses: readonly string[] }>;
  run(address: string, seed: number): Promise<CaseResult>;
}

/** Backends that run where there is no Node, with their options. */
export interface RemoteBackend {
  readonly name: "reference" | "webgpu";
  readonly features?: { readonly subgroups: boolean };
  /** For software adapters or for GPUs; default: what the adapter is. */
  readonly kernels?: "software" | "hardware";
  readonly loweredLimits?: typeof loweredLimits;
}
