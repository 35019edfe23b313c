// Which of the published models a device holds, and which of its limits decides. Nothing is loaded for it: backends say what they
// would take, and devices what they have.

import { totalmem } from "node:os";
import type { Backend } from "@polyllama/core";
import { type DeviceInfo, llamaGraph, type MemoryEstimate, type PresetName } from "@polyllama/core";
import { openCheckpoint } from "polyllama";
import type { CudaCards } from "./cuda.ts";
import { bytes } from "./format.ts";
import { type Probing, probe } from "./webgpu/probe.ts";

/** What a model would take in Q4_0 with its whole context. */
export interface ModelNeeds extends MemoryEstimate {
  readonly model: PresetName;
  readonly context: number;
  /** Keys or values of one head: the least that has to lie in one piece. */
  readonly head: number;
}

/** What a device has; bytes. */
export interface Room {
  /** Undefined where nobody tells. */
  readonly memory: number | undefined;
  /** Of one buffer, and of what a kernel sees of it. */
  readonly buffer?: number;
  readonly binding?: number;
}

export interface Fit extends ModelNeeds {
  readonly verdict: "fits" | "does not fit" | "unknown";
  /** The limit that decides. */
  readonly limit: "memory" | "largest buffer" | "largest binding";
  readonly available: number | null;
  /** Positions that would fit, where the whole context does not. */
  readonly positions?: number;
}

export interface DeviceFits {
  readonly backend: string;
  readonly device: string;
  readonly models: readonly Fit[];
}

const models = ["llama-2-7b", "llama-2-13b", "llama-2-70b"] as const satisfies readonly PresetName[];

export function judgeFit(needs: ModelNeeds, { memory, buffer = Infinity, binding = Infinity }: Room): Fit {
  const { weights, cache, scratch, head, context } = needs;
  const piece = Math.min(buffer, binding);
  if (head > piece) {
    const limit = buffer < binding ? "largest buffer" : "largest binding";
    const positions = Math.floor((context * piece) / head);
    return { ...needs, verdict: "does not fit", limit, available: piece, positions };
  }
  if (memory === undefined) return { ...needs, verdict: "unknown", limit: "memory", available: null };
  const verdict = weights + cache + scratch <= memory ? "fits" : "does not fit";
  const positions = Math.floor((context * (memory - weights - scratch)) / cache);
  const shorter = verdict === "does not fit" && positions > 0 && { positions };
  return { ...needs, verdict, limit: "memory", available: memory, ...shorter };
}

/** One line, for people. */
export function describeFit({ model, verdict, limit, available, positions, ...needs }: Fit): string {
  const { weights, cache, scratch, head } = needs;
  const parts = `weights ${bytes(weights)}, cache ${bytes(cache)}, scratch ${bytes(scratch)}`;
  const total = `takes ${bytes(weights + cache + scratch)}`;
  const why =
    available === null
      ? `${total}, and the device does not tell its memory; its buffers and bindings are large enough`
      : limit === "memory"
        ? `${total} of ${bytes(available)} memory`
        : `a head of the cache takes ${bytes(head)}, the ${limit} is ${bytes(available)}`;
  return `${model} ${verdict}: ${why} (${parts})${positions === undefined ? "" : `; ${positions} positions would fit`}`;
}

/** The models on every device that backends find here. Backends without a device are left out. */
export async function deviceFits(cuda: CudaCards, webgpu: boolean, probing: Probing): Promise<readonly DeviceFits[]> {
  const found: DeviceFits[] = [];
  const ofProcessor = async (): Promise<void> => {
    await using backend = (await import("@polyllama/backend-onnxruntime")).onnxruntime();
    found.push(await fitsOn(backend, backend.describe().device, { memory: machineMemory() }));
  };
  await ofProcessor().catch(() => undefined); // its own report says what is wrong
  const adapters = webgpu ? await probe("fits", { ...probing, seconds: 60 }) : undefined;
  if (adapters !== undefined && "answer" in adapters) found.push(...adapters.answer);
  for (const { number, device, memory } of cuda.available ? cuda.cards : []) {
    await using backend = (await import("@polyllama/backend-cuda")).cuda({ device: number });
    found.push(await fitsOn(backend, `card ${number}, ${device}`, { memory: memory.free }));
  }
  return found;
}

/** The models on every WebGPU adapter. */
export async function adapterFits(): Promise<readonly DeviceFits[]> {
  const { webgpu } = await import("@polyllama/backend-webgpu");
  const found: DeviceFits[] = [];
  for (const powerPreference of [undefined, "high-performance", "low-power"] as const) {
    const ofAdapter = async (): Promise<void> => {
      await using backend = await webgpu(powerPreference === undefined ? {} : { powerPreference });
      const info = backend.describe();
      if (found.some(({ device }) => device === info.device)) return;
      found.push(await fitsOn(backend, info.device, adapterRoom(info)));
    };
    await ofAdapter().catch(() => undefined);
  }
  return found;
}

async function fitsOn(backend: Backend, device: string, room: Room): Promise<DeviceFits> {
  const models = (await modelNeeds(backend)).map((needs) => judgeFit(needs, room));
  return { backend: backend.name, device, models };
}

async function modelNeeds(backend: Backend): Promise<readonly ModelNeeds[]> {
  const needs: ModelNeeds[] = [];
  for (const model of models) {
    await using checkpoint = await openCheckpoint(`synthetic://${model}?format=q4_0`);
    const { config, weights } = checkpoint;
    const context = config.contextLength;
    const estimate = backend.estimateMemory(llamaGraph(config), weights, context);
    needs.push({ model, context, head: 4 * context * config.headDim, ...estimate });
  }
  return needs;
}

/** WebGPU tells limits of buffers and no memory; what computes in software has the machine's. */
function adapterRoom({ details }: DeviceInfo): Room {
  return {
    memory: details["kernels"] === "software" ? machineMemory() : undefined,
    buffer: Number(details["largest buffer"]),
    binding: Number(details["largest binding"]),
  };
}

/** Memory of the machine, or of the container that this runs in. */
function machineMemory(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}
