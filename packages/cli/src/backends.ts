// The backends that this program offers, by name. Each is imported when it is chosen, so that one that cannot start
// here does not keep the others from working, and the options of one are refused by the others.

import type { Device } from "@polyllama/core/device";
import { InvalidArgumentError } from "commander";
import { UsageError } from "./exit.ts";
import { note } from "./terminal.ts";
import { inOwnWords } from "./words.ts";

export const backendNames = ["onnxruntime", "webgpu", "cuda", "reference"] as const;
export type BackendName = (typeof backendNames)[number];

/**
 * A backend's name as it is given. `cpu` was that of onnxruntime, which is taken for it, with a notice.
 *
 * @throws {InvalidArgumentError} where there is none of that name
 */
export function backendName(given: string): BackendName {
  if (given === "cpu") {
    note(
      "The ONNX Runtime backend moved: --backend onnxruntime in place of cpu, which will name a CPU backend of its own.",
    );
    return "onnxruntime";
  }
  const known = backendNames.find((name) => name === given);
  if (known !== undefined) return known;
  throw new InvalidArgumentError(`"${given}" is no backend; there are ${backendNames.join(", ")}.`);
}

export interface BackendOptions {
  readonly backend: BackendName;
  readonly threads?: number;
  /** int8 and f32 for onnxruntime, f16 and f32 for cuda. */
  readonly activations?: "int8" | "f16" | "f32";
  readonly cacheFolder?: string;
  /** False for `--no-cache`. */
  readonly cache?: boolean;
  /** Number of the card, for cuda. */
  readonly device?: number;
}

/** @throws {UsageError} for options that the backend does not have; `PolyllamaError` when it cannot start here. */
export async function createBackend(options: BackendOptions): Promise<Device> {
  const { backend, threads, activations, cacheFolder, cache = true, device } = options;
  const given = {
    onnxruntime: {
      "--threads": threads !== undefined,
      "--activations": activations !== undefined,
      "--cache-folder": cacheFolder !== undefined,
      "--no-cache": !cache,
    },
    cuda: { "--activations": activations !== undefined, "--device": device !== undefined },
  };
  const own = backend === "onnxruntime" || backend === "cuda" ? given[backend] : {};
  for (const [owner, flags] of Object.entries(given)) {
    for (const [flag, isGiven] of Object.entries(flags)) {
      if (isGiven && !(flag in own)) {
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
      if (activations === "int8") throw new UsageError("--activations of the cuda backend are f16 and f32");
      return (await import("@polyllama/backend-cuda")).cuda({
        ...(activations !== undefined && { activations }),
        ...(device !== undefined && { device }),
      });
    case "onnxruntime": {
      const { onnxruntime } = await import("@polyllama/backend-onnxruntime");
      if (activations === "f16") throw new UsageError("--activations of the onnxruntime backend are int8 and f32");
      if (!cache && cacheFolder !== undefined) throw new UsageError("--cache-folder and --no-cache exclude each other");
      const folder = cache ? cacheFolder : false;
      return onnxruntime({
        ...(threads !== undefined && { threads }),
        ...(activations !== undefined && { activations }),
        ...(folder !== undefined && { cacheFolder: folder }),
        onNote: (text) => note(inOwnWords(new Error(text))),
      });
    }
  }
}
