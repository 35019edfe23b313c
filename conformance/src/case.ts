// What a case is, whatever it is about: an address, and a check of a device that is a function of the address and a
// seed.

import type { Device } from "@polyllama/core/device";
import { formatAddress, type Parameters } from "./address.ts";
import type { Finding } from "./comparison/measure.ts";
import type { Unsupported } from "./support.ts";

/** Something that a backend is held to. */
export interface ConformanceCase {
  readonly address: string;
  /** Takes longer than tests should; `npm run conformance` has it. */
  readonly slow?: boolean;
  /** Is held to bounds that follow from what the device computed, or to equality: there is no bound to record. */
  readonly ownBounds?: boolean;
  /** Is about gradients or updates: absent on a device without `features.updates`. */
  readonly training?: boolean;
  /**
   * Equal seeds give equal weights and inputs.
   *
   * @param lowered The same device under `loweredLimits`, for what only large models split otherwise; without it, or
   * where a device splits nothing, such cases are absent.
   */
  run(device: Device, seed: number, lowered?: Device): Promise<CaseResult>;
}

/** What came of a case on a device. */
export interface CaseResult {
  readonly address: string;
  /** `unsupported`: the device cannot do it and says so. `absent`: it has no such path, which nobody needs. */
  readonly status: "passed" | "failed" | "unsupported" | "absent";
  /** Largest error as a share of its bound; at most 1 passes. */
  readonly worst: number;
  /** What failed and where, or why it is not supported. */
  readonly detail: string;
  /** Mean and largest of what the case allows, where that does not depend on what the device computed. */
  readonly allowed?: readonly [mean: number, largest: number];
}

/** What a check found, or why there is nothing to check. */
export type Check = (device: Device, seed: number, lowered: Device | undefined) => Promise<Finding | Unsupported>;

/** What else is said of a case. */
export type Marks = Pick<ConformanceCase, "slow" | "ownBounds" | "training">;

/** Makes a case of a check; its address follows from suite, name and parameters. */
export function makeCase(
  suite: string,
  name: string,
  parameters: Parameters,
  check: Check,
  marks: Marks = {},
): ConformanceCase {
  const address = formatAddress(suite, name, parameters);
  return {
    address,
    ...marks,
    run: (device, seed, lowered) => resultOf(address, () => check(device, seed, lowered)),
  };
}

/** A check's outcome as a result. What is thrown is a failure. */
export async function resultOf(address: string, check: () => Promise<Finding | Unsupported>): Promise<CaseResult> {
  try {
    const outcome = await check();
    if ("status" in outcome)
      return {
        address,
        status: outcome.status,
        worst: outcome.status === "absent" ? 0 : Infinity,
        detail: outcome.reason,
      };
    const { worst, problem, width } = outcome;
    const allowed = width && ([width.sum / width.count, width.largest] as const);
    return {
      address,
      status: problem === undefined ? "passed" : "failed",
      worst,
      detail: problem ?? "",
      ...(allowed && { allowed }),
    };
  } catch (error) {
    return {
      address,
      status: "failed",
      worst: Infinity,
      detail: error instanceof Error ? error.message : String(error),
    };
  }
}
