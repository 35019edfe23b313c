// The backends that this program offers, by name. Each is imported when it is chosen, so that one that cannot start here
// does not keep the others from working, and the options of one are refused by the others.

import type { Backend } from "polyllama";
import { UsageError } from "./exit.ts";

export const backendNames = ["cpu", "webgpu", "cuda", "reference"] as const;
export type BackendName = (typeof backendNames)[number];

export interface BackendOptions {
  readonly backend: BackendName;
  readonly threads?: number;
  readonly activations?: "int8" | "f32";
  readonly cacheFolder?: string;
  /** False for `--no-cache`. */
  readonly cache?: boolean;
  /** Number of the card, for cuda. */
  readonly device?: number;
}

/** @throws {UsageError} for options that the backend does not have; {@link PolyllamaError} when it cannot start here. */
export async function createBackend(options: BackendOptions): Promise<Backend> {
  const { backend, threads, activations, cacheFolder, cache = true, device } = options;
  const given = {
    cpu: {
      "--threads": threads !== undefined,
      "--activations": activations !== undefined,
      "--cache-folder": cacheFolder !== undefined,
      "--no-cache": !cache,
    },
    cuda: { "--device": device !== undefined },
  };
  for (const [owner, flags] of Object.entries(given)) {
    if (owner === backend) continue;
    for (const [flag, isGiven] of Object.entries(flags)) {
      if (isGiven) {
        throw new UsageError(`the ${backend} backend has no option ${flag}; it belongs to --backend ${owner}`);
      }
    }
  }
  switch (backend) {
    case "reference":
      return (await import("@polyllama/backend-reference")).reference();
    case "webgpu":
      return (await import("@polyllama/backend-webgpu")).webgpu();
    case "cuda":
      return (await import("@polyllama/backend-cuda")).cuda({ ...(device !== undefined && { device }) });
    case "cpu": {
      const { cpu } = await import("@polyllama/backend-cpu");
      if (!cache && cacheFolder !== undefined) throw new UsageError("--cache-folder and --no-cache exclude each other");
      const folder = cache ? cacheFolder : false;
      return cpu({
        ...(threads !== undefined && { threads }),
        ...(activations !== undefined && { activations }),
        ...(folder !== undefined && { cacheFolder: folder }),
      });
    }
  }
}
