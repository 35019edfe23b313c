// The backends that this program offers, by name. Each is imported when it is chosen, so that one that cannot start
// here does not keep the others from working, and the options of one are refused by the others.

import type { Device } from "@polyllama/core/device";
import { InvalidArgumentError } from "commander";
import { UsageError } from "./exit.ts";
import { listed } from "./format.ts";
import { note } from "./terminal.ts";
import { inOwnWords } from "./words.ts";

export const backendNames = ["cpu", "onnxruntime", "webgpu", "cuda", "reference"] as const;
export type BackendName = (typeof backendNames)[number];

/** @throws {InvalidArgumentError} where there is no backend of that name */
export function backendName(given: string): BackendName {
  const known = backendNames.find((name) => name === given);
  if (known !== undefined) return known;
  throw new InvalidArgumentError(`"${given}" is no backend; there are ${backendNames.join(", ")}.`);
}

export interface BackendOptions {
  readonly backend: BackendName;
  readonly threads?: number;
  /** int8 and f32 for cpu and onnxruntime, f16 and f32 for cuda. */
  readonly activations?: Activations;
  /** Where cpu and onnxruntime keep packed weights. */
  readonly cacheFolder?: string;
  /** False for `--no-cache`. */
  readonly cache?: boolean;
  /** Number of the card, for cuda. */
  readonly device?: number;
}

export type Activations = "int8" | "f16" | "f32";

/** What each backend takes for activations. */
export const activationsOf = {
  cpu: ["int8", "f32"],
  onnxruntime: ["int8", "f32"],
  cuda: ["f16", "f32"],
} as const;

/** The backends that have an option. */
export const optionOwners = {
  "--threads": ["cpu", "onnxruntime"],
  "--activations": ["cpu", "onnxruntime", "cuda"],
  "--cache-folder": ["cpu", "onnxruntime"],
  "--no-cache": ["cpu", "onnxruntime"],
  "--device": ["cuda"],
} as const;

/** @throws {UsageError} for options that the backend does not have; `PolyllamaError` when it cannot start here. */
export async function createBackend(options: BackendOptions): Promise<Device> {
  checkOptions(options);
  const { backend, threads, activations, device } = options;
  switch (backend) {
    case "reference":
      return (await import("@polyllama/backend-reference")).reference();
    case "webgpu":
      return (await import("@polyllama/backend-webgpu")).webgpu();
    case "cuda": {
      const own = ownActivations("cuda", activations);
      return (await import("@polyllama/backend-cuda")).cuda({
        ...(own !== undefined && { activations: own }),
        ...(device !== undefined && { device }),
      });
    }
    case "cpu": {
      const own = ownActivations("cpu", activations);
      return (await import("@polyllama/backend-cpu")).cpu({
        ...(threads !== undefined && { threads }),
        ...(own !== undefined && { activations: own }),
        ...cacheOptions(options),
      });
    }
    case "onnxruntime": {
      const own = ownActivations("onnxruntime", activations);
      return (await import("@polyllama/backend-onnxruntime")).onnxruntime({
        ...(threads !== undefined && { threads }),
        ...(own !== undefined && { activations: own }),
        ...cacheOptions(options),
      });
    }
  }
}

interface CacheOptions {
  readonly cacheFolder?: string | false;
  readonly onNote: (note: string) => void;
}

/** Where packed weights are kept, and how people hear of them. @throws {UsageError} */
function cacheOptions({ cacheFolder, cache = true }: BackendOptions): CacheOptions {
  if (!cache && cacheFolder !== undefined) throw new UsageError("--cache-folder and --no-cache exclude each other");
  const folder = cache ? cacheFolder : false;
  return { ...(folder !== undefined && { cacheFolder: folder }), onNote: (text) => note(inOwnWords(new Error(text))) };
}

/** @throws {UsageError} for options that belong to other backends */
function checkOptions({ backend, threads, activations, cacheFolder, cache = true, device }: BackendOptions): void {
  const given: Readonly<Record<keyof typeof optionOwners, boolean>> = {
    "--threads": threads !== undefined,
    "--activations": activations !== undefined,
    "--cache-folder": cacheFolder !== undefined,
    "--no-cache": !cache,
    "--device": device !== undefined,
  };
  for (const [flag, isGiven] of Object.entries(given)) {
    const owners: readonly BackendName[] = optionOwners[flag as keyof typeof optionOwners]; // its keys are these
    if (!isGiven || owners.includes(backend)) continue;
    throw new UsageError(`the ${backend} backend has no option ${flag}; it belongs to --backend ${listed(owners)}`);
  }
}

/** @throws {UsageError} for activations that the backend does not have */
function ownActivations<B extends keyof typeof activationsOf>(
  backend: B,
  given: Activations | undefined,
): (typeof activationsOf)[B][number] | undefined {
  if (given === undefined) return undefined;
  const known = activationsOf[backend].find((each): each is (typeof activationsOf)[B][number] => each === given);
  if (known !== undefined) return known;
  throw new UsageError(`--activations of the ${backend} backend are ${activationsOf[backend].join(" and ")}`);
}
