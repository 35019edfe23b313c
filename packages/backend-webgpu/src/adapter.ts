// Finding a device. In browsers and Deno `navigator.gpu` is there; in Node it comes from the npm package `webgpu`
// (Dawn), which is imported at run time, and only where there is no `navigator.gpu`, so that bundles for browsers never
// see it.

import { PolyllamaError } from "@polyllama/core";
import { Gpu, type KernelFamily } from "./gpu.ts";
import type { WebGpuOptions } from "./options.ts";

export interface OpenedDevice {
  readonly gpu: Gpu;
  readonly info: GPUAdapterInfo;
}

/** `navigator.gpu`, or Dawn. @throws {PolyllamaError} `ERR_BACKEND` with the remedy. */
async function findGpu(): Promise<GPU> {
  const { navigator } = globalThis;
  if (navigator?.gpu !== undefined) return navigator.gpu;
  if (typeof process === "undefined" || process.versions?.node === undefined) {
    const insecure =
      globalThis.isSecureContext === false ? " The page is not served over https or from localhost." : "";
    throw new PolyllamaError(
      "ERR_BACKEND",
      `This browser has no WebGPU (navigator.gpu is missing).${insecure} Use a current Chrome, Edge, Safari or Firefox, or ` +
        "another backend.",
    );
  }
  return dawn();
}

let dawnGpu: Promise<GPU> | undefined;

function dawn(): Promise<GPU> {
  dawnGpu ??= importDawn();
  dawnGpu.catch(() => (dawnGpu = undefined));
  return dawnGpu;
}

async function importDawn(): Promise<GPU> {
  const name = "webgpu"; // a variable, so that bundlers leave it alone
  try {
    const { create } = await import(/* @vite-ignore */ /* webpackIgnore: true */ name);
    return create([]);
  } catch (cause) {
    const missing = (cause as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND"; // Node's import errors carry one
    throw new PolyllamaError(
      "ERR_BACKEND",
      missing
        ? "WebGPU in Node needs the npm package webgpu, which is not installed. Run: npm install webgpu@0.6.2"
        : `The npm package webgpu did not start: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** @throws {PolyllamaError} `ERR_BACKEND` when there is no adapter, with what to do about it. */
export async function findAdapter(options: WebGpuOptions): Promise<GPUAdapter> {
  if (options.adapter !== undefined) return options.adapter;
  const gpu = options.gpu ?? (await findGpu());
  const adapter = await gpu.requestAdapter(
    options.powerPreference === undefined ? {} : { powerPreference: options.powerPreference },
  );
  if (adapter !== null) return adapter;
  throw new PolyllamaError(
    "ERR_BACKEND",
    "WebGPU found no adapter: no GPU driver that it can use (Vulkan on Linux, Direct3D 12 on Windows, Metal on macOS), or " +
      "the browser has blocked it. Update the driver, allow hardware acceleration, or use another backend. On Linux without a " +
      "graphics card Mesa's software driver will do (lavapipe, version 25): name its lvp_icd file in VK_ICD_FILENAMES before " +
      "the process starts.",
  );
}

const raisedLimits = ["maxBufferSize", "maxStorageBufferBindingSize"] as const;

export async function openDevice(options: WebGpuOptions): Promise<OpenedDevice> {
  if (options.device !== undefined) {
    const { device } = options;
    return { gpu: make(device, false, device.adapterInfo, options), info: device.adapterInfo };
  }
  const adapter = await findAdapter(options);
  // Kernels compute in f32 and unpack f16 in integers, so that "shader-f16" is of no use.
  const requiredFeatures = (["subgroups", "timestamp-query"] as const).filter(
    (name) => adapter.features.has(name) && (name !== "subgroups" || options.features?.subgroups !== false),
  );
  const requiredLimits: Record<string, number> = {};
  if (options.limits !== "default") for (const name of raisedLimits) requiredLimits[name] = adapter.limits[name];
  try {
    const device = await adapter.requestDevice({ label: "polyllama", requiredFeatures, requiredLimits });
    return { gpu: make(device, true, adapter.info, options), info: adapter.info };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The adapter ${describeAdapter(adapter.info)} gave no device: ${reason}`;
    throw new PolyllamaError("ERR_BACKEND", `${message} Close what else uses it, or use another backend.`, { cause });
  }
}

function make(device: GPUDevice, owned: boolean, info: GPUAdapterInfo, options: WebGpuOptions): Gpu {
  const { features = {}, kernels = familyOf(info), memory = Number.POSITIVE_INFINITY, loweredLimits = {} } = options;
  const granted = { subgroups: features.subgroups !== false && device.features.has("subgroups") };
  return new Gpu(device, owned, kernels, granted, memory, loweredLimits);
}

function familyOf(info: GPUAdapterInfo): KernelFamily {
  const software = /swiftshader|llvmpipe|software|warp|basic render/i;
  return software.test(`${info.architecture} ${info.device} ${info.description}`) ? "software" : "hardware";
}

/** Name of an adapter, for people. */
export function describeAdapter(info: GPUAdapterInfo): string {
  const name = info.description || info.device || info.architecture;
  return [info.vendor, name].filter((part) => part !== "").join(" ") || "unnamed adapter";
}
