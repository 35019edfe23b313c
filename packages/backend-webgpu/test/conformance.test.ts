// The suite on the Vulkan driver that is there. It runs whole with the kernels that suit the adapter; those for the other kind of adapter
// run on what uses them, with subgroups and without.

import { conformance } from "@polyllama/conformance/vitest";
import { describe } from "vitest";
import { webgpu } from "../src/index.ts";
import { hasAdapter, notRun } from "./support.ts";

// What differs between the two kinds is how tiles are made, not how a format is read: a few formats do.
const formats = "(f32|q4_0|q5_1|q6_k)";

/** Linears at small sizes, and models that put all kernels together. */
function usesLinears(address: string): boolean {
  if (/^model:(nodes|paths|repetition):model=(grouped|k-quants)/.test(address)) return true;
  return new RegExp(`^op:linear:format=${formats};n=\\d+;k=(7|172|256|1024);m=\\d\\d?;`).test(address);
}

function eachKernel(address: string): boolean {
  return (
    new RegExp(`^op:linear:format=${formats};n=(1|17);k=1024`).test(address) || /^model:nodes:model=k-/.test(address)
  );
}

const timeout = 300_000;

describe.skipIf(!hasAdapter)(hasAdapter ? "webgpu" : notRun, () => {
  describe("kernels of the adapter", () => conformance(() => webgpu(), { timeout }));
  describe("kernels for GPUs", () => {
    conformance(() => webgpu({ kernels: "hardware" }), { filter: usesLinears, timeout });
  });
  describe("kernels for GPUs, without f16 and subgroups, at WebGPU's default limits", () => {
    const features = { f16: false, subgroups: false };
    conformance(() => webgpu({ kernels: "hardware", features, limits: "default" }), {
      filter: eachKernel,
      timeout,
    });
  });
});
