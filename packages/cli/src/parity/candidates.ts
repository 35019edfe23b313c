// The backends that are compared.

import type { Unavailable } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import type { BackendName } from "../backends.ts";
import { UsageError } from "../exit.ts";
import type { ParityContext, ParityOptions } from "./options.ts";

const activationOwners = { int8: ["onnxruntime"], f16: ["cuda"], f32: ["onnxruntime", "cuda"] } as const;

/** @throws {UsageError} for an option that none of the backends has. */
export function checkOwners({ backends, threads, activations }: ParityOptions): void {
  const check = (option: string, owners: readonly BackendName[]): void => {
    if (backends.some((name) => owners.includes(name))) return;
    throw new UsageError(`--${option} belongs to ${owners.join(" and ")}, and --backends is ${backends.join(",")}`);
  };
  if (threads !== undefined) check("threads", ["onnxruntime"]);
  if (activations !== undefined) check(`activations ${activations}`, activationOwners[activations]);
}

/**
 * The backend, or why there is none; onnxruntime with f32 activations unless others are asked for, and no packed
 * weights kept.
 */
export async function create(
  name: BackendName,
  { activations, threads }: ParityOptions,
  context: ParityContext,
): Promise<Device | Unavailable> {
  const owners: readonly BackendName[] = activations === undefined ? [] : activationOwners[activations];
  const asked = activations !== undefined && owners.includes(name) ? { activations } : {};
  const onnxruntime = name === "onnxruntime" && {
    activations: "f32" as const,
    cache: false,
    ...(threads !== undefined && { threads }),
  };
  try {
    return await context.createBackend({ backend: name, ...onnxruntime, ...asked });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return { name, reason: error instanceof Error ? error.message : String(error) };
  }
}

export function isDevice(candidate: Device | Unavailable): candidate is Device {
  return !("reason" in candidate);
}
