// The backends that are compared.

import type { Unavailable } from "@polyllama/conformance";
import type { Device } from "@polyllama/core/device";
import { type Activations, activationsOf, type BackendName, type BackendOptions, optionOwners } from "../backends.ts";
import { UsageError } from "../exit.ts";
import { listed } from "../format.ts";
import type { ParityContext, ParityOptions } from "./options.ts";

/** What backends are compared with unless something else is asked for, so that bounds are narrow and nothing is kept. */
const defaults: Partial<Readonly<Record<BackendName, Omit<BackendOptions, "backend">>>> = {
  cpu: { activations: "f32", cache: false },
  onnxruntime: { activations: "f32", cache: false },
};

function takes(name: BackendName, activations: Activations): boolean {
  const own: Partial<Readonly<Record<BackendName, readonly Activations[]>>> = activationsOf;
  return own[name]?.includes(activations) === true;
}

/** @throws {UsageError} for an option that none of the backends has. */
export function checkOwners({ backends, threads, activations }: ParityOptions): void {
  const check = (option: string, owners: readonly BackendName[]): void => {
    if (backends.some((name) => owners.includes(name))) return;
    throw new UsageError(`--${option} belongs to ${listed(owners)}, and --backends is ${backends.join(",")}`);
  };
  if (threads !== undefined) check("threads", optionOwners["--threads"]);
  if (activations === undefined) return;
  const owners = optionOwners["--activations"].filter((name) => takes(name, activations));
  check(`activations ${activations}`, owners);
}

/** The backend, or why there is none. */
export async function create(
  name: BackendName,
  { activations, threads }: ParityOptions,
  context: ParityContext,
): Promise<Device | Unavailable> {
  const threaded: readonly BackendName[] = optionOwners["--threads"];
  const options: BackendOptions = {
    backend: name,
    ...defaults[name],
    ...(threads !== undefined && threaded.includes(name) && { threads }),
    ...(activations !== undefined && takes(name, activations) && { activations }),
  };
  try {
    return await context.createBackend(options);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return { name, reason: error instanceof Error ? error.message : String(error) };
  }
}

export function isDevice(candidate: Device | Unavailable): candidate is Device {
  return !("reason" in candidate);
}
