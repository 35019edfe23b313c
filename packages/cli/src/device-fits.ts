// Which of the published models the devices of this machine hold. Nothing is loaded for it: backends say what they
// would take, and devices what they have.

import { totalmem } from "node:os";
import { type DeviceInfo, llamaGraph, type PresetName } from "@polyllama/core";
import type { Device } from "@polyllama/core/device";
import { openCheckpoint } from "polyllama";
import type { CudaCards } from "./cuda.ts";
import { type DeviceFits, judgeFit, type ModelNeeds, type Room } from "./fit.ts";
import { type Probing, probe } from "./webgpu/probe.ts";

const models = ["llama-2-7b", "llama-2-13b", "llama-2-70b"] as const satisfies readonly PresetName[];

/** The models on every device that backends find here. Backends without a device are left out. */
export async function deviceFits(cuda: CudaCards, webgpu: boolean, probing: Probing): Promise<readonly DeviceFits[]> {
  const found: DeviceFits[] = [];
  const ofProcessor = async (): Promise<void> => {
    await using processor = (await import("@polyllama/backend-cpu")).cpu();
    found.push(await fitsOn(processor, processor.describe().device, { memory: machineMemory() }));
  };
  await ofProcessor().catch(() => undefined); // its own report says what is wrong
  const adapters = webgpu ? await probe("fits", { ...probing, seconds: 60 }) : undefined;
  if (adapters !== undefined && "answer" in adapters) found.push(...adapters.answer);
  for (const { number, device, memory } of cuda.available ? cuda.cards : []) {
    await using card = (await import("@polyllama/backend-cuda")).cuda({ device: number });
    found.push(await fitsOn(card, `card ${number}, ${device}`, { memory: memory.free }));
  }
  return found;
}

/** The models on every WebGPU adapter. */
export async function adapterFits(): Promise<readonly DeviceFits[]> {
  const { webgpu } = await import("@polyllama/backend-webgpu");
  const found: DeviceFits[] = [];
  for (const powerPreference of [undefined, "high-performance", "low-power"] as const) {
    const ofAdapter = async (): Promise<void> => {
      await using adapter = await webgpu(powerPreference === undefined ? {} : { powerPreference });
      const info = adapter.describe();
      if (found.some(({ device }) => device === info.device)) return;
      found.push(await fitsOn(adapter, info.device, adapterRoom(info)));
    };
    await ofAdapter().catch(() => undefined);
  }
  return found;
}

async function fitsOn(device: Device, name: string, room: Room): Promise<DeviceFits> {
  const models = (await modelNeeds(device)).map((needs) => judgeFit(needs, room));
  return { backend: device.name, device: name, models };
}

async function modelNeeds(device: Device): Promise<readonly ModelNeeds[]> {
  const needs: ModelNeeds[] = [];
  for (const model of models) {
    await using checkpoint = await openCheckpoint(`synthetic://${model}?format=q4_0`);
    const { config, weights } = checkpoint;
    const context = config.contextLength;
    const estimate = device.estimateMemory(llamaGraph(config), weights, context);
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
