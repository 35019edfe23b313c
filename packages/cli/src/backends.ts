// The backends that this program offers, by name. Each is imported when it is chosen, so that one that cannot start here
// does not keep the others from working, and the options of one are refused by the others.

import type { Backend } from "polyllama";
import { UsageError } from "./exit.ts";

export const backendNames = ["cpu", "reference"] as const;
export type BackendName = (typeof backendNames)[number];

export interface BackendOptions {
  readonly backend: BackendName;
  readonly threads?: number;
  readonly activations?: "int8" | "f32";
  readonly cacheFolder?: string;
  /** False for `--no-cache`. */
  readonly cache?: boolean;
}

/** @throws {UsageError} for options that the backend does not have; {@link PolyllamaError} when it cannot start here. */
export async function createBackend(options: BackendOptions): Promise<Backend> {
  const { threads, activations, cacheFolder, cache = true } = options;
  switch (options.backend) {
    case "reference": {
      const refused = {
        "--threads": threads !== undefined,
        "--activations": activations !== undefined,
        "--cache-folder": cacheFolder !== undefined,
        "--no-cache": !cache,
      };
      for (const [flag, given] of Object.entries(refused)) {
        if (given) throw new UsageError(`the reference backend has no option ${flag}; it belongs to --backend cpu`);
      }
      const { reference } = await import("@polyllama/backend-reference");
      return reference();
    }
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
