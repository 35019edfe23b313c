// The backends of `npm run conformance`, each in its environment.

import { loweredLimits } from "@polyllama/conformance";
import type { RoundingProfile } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { readSystem } from "../../scripts/system.mjs";
import { chromium } from "./chromium.ts";
import { deno } from "./deno.ts";
import type { Environment, RemoteBackend } from "./environment.ts";
import { local } from "./local.ts";
import { openDevice } from "./remote.ts";

export interface Subject {
  readonly title: string;
  /** Name of the file of what is known of it. */
  readonly expectations: string;
  /** Name of the file of what its cases allow; environments in which it declares the same roundings share one. */
  readonly bounds: string;
  /** Whether it computes gradients, so that what their cases allow is recorded, too. */
  readonly trains?: boolean;
  /** Why it may not have been run. */
  readonly absent?: string;
  /** What it declares. @throws when it cannot be made here */
  roundings(): Promise<RoundingProfile>;
  /** @throws when it cannot run here */
  open(): Promise<Environment>;
}

const { chromium: browser, deno: denoProgram } = readSystem();

function cpuWith(activations: "f32" | "int8"): Subject {
  const name = activations === "f32" ? "cpu" : "cpu-int8";
  const create = async (): Promise<Device> => (await import("@polyllama/backend-cpu")).cpu({ activations });
  return {
    title: `cpu, activations ${activations}`,
    expectations: "cpu",
    bounds: name,
    trains: true,
    roundings: async () => (await create()).roundings,
    open: async () => local(await create()),
  };
}

function onnxruntimeWith(activations: "f32" | "int8"): Subject {
  const name = activations === "f32" ? "onnxruntime" : "onnxruntime-int8";
  const create = async (): Promise<Device> =>
    (await import("@polyllama/backend-onnxruntime")).onnxruntime({ activations, cacheFolder: false });
  return {
    title: `onnxruntime, activations ${activations}`,
    expectations: name,
    bounds: name,
    roundings: async () => (await create()).roundings,
    open: async () => local(await create()),
  };
}

function cudaWith(activations: "f16" | "f32", training: "f32" | "bf16" = "f32"): Subject {
  const create = async (): Promise<Device> => (await import("@polyllama/backend-cuda")).cuda({ activations, training });
  const bounds = activations === "f16" ? "cuda" : "cuda-f32";
  return {
    title: `cuda, activations ${activations}${training === "f32" ? "" : `, training in ${training}`}`,
    expectations: "cuda",
    bounds: training === "f32" ? bounds : `${bounds}-${training}`,
    trains: true,
    absent: "no card was at hand; packages/backend-cuda/test runs small cases on the emulation",
    roundings: async () => (await create()).roundings,
    open: async () => local(await create()),
  };
}

function webgpuIn(where: string, open: () => Promise<Environment>): Subject {
  return {
    title: `webgpu, ${where}`,
    expectations: "webgpu",
    bounds: "webgpu",
    trains: true,
    roundings: async () => {
      await using device = await openDevice({ name: "webgpu" });
      return device.roundings;
    },
    open,
  };
}

function dawn(title: string, options: Omit<RemoteBackend, "name">): Subject {
  const backend: RemoteBackend = { name: "webgpu", ...options };
  return webgpuIn(`Node with Dawn${title}`, async () =>
    local(await openDevice(backend), () => openDevice({ ...backend, loweredLimits })),
  );
}

function missing(what: string): never {
  throw new Error(`${what} is missing; \`npm run setup:system\` installs it.`);
}

/** By the name that `--backend` has. */
export const subjects: Readonly<Record<string, Subject>> = {
  cpu: cpuWith("f32"),
  "cpu-int8": cpuWith("int8"),
  onnxruntime: onnxruntimeWith("f32"),
  "onnxruntime-int8": onnxruntimeWith("int8"),
  "webgpu-dawn": dawn("", {}),
  "webgpu-dawn-no-subgroups": dawn(", no subgroups", { features: { subgroups: false } }),
  "webgpu-dawn-hardware": dawn(", kernels for GPUs", { kernels: "hardware" }),
  "webgpu-dawn-hardware-no-subgroups": dawn(", kernels for GPUs, no subgroups", {
    kernels: "hardware",
    features: { subgroups: false },
  }),
  "webgpu-chromium": webgpuIn("Chromium", () =>
    chromium(browser?.executable ?? missing("Chromium"), { name: "webgpu" }),
  ),
  "webgpu-deno": webgpuIn("Deno", () => deno(denoProgram?.executable ?? missing("Deno"), { name: "webgpu" })),
  cuda: cudaWith("f16"),
  "cuda-f32": cudaWith("f32"),
  "cuda-bf16": cudaWith("f16", "bf16"),
  // Takes minutes for each case of a published model's size: for use with --filter.
  "cuda-emulation": {
    ...cudaWith("f16"),
    title: "cuda, emulated",
    absent: "it would take a day; packages/backend-cuda/test runs small cases",
    open: async () => {
      const { buildEmulation } = await import("@polyllama/backend-cuda/emulation");
      const { library, images } = await buildEmulation();
      return local((await import("@polyllama/backend-cuda")).cuda({ library, images }));
    },
  },
};
