// The suite on the Vulkan driver that is there. It runs whole with the kernels that suit the adapter; those for the other kind of adapter
// run on what uses them, with subgroups and without.

import { conformance } from "@polyllama/conformance/vitest";
import { describe } from "vitest";
import { webgpu } from "../src/index.ts";
import { hasAdapter, notRun } from "./support.ts";

/** Linears of every format at small sizes, and models that put all kernels together. */
function usesLinears(address: string): boolean {
  if (/^model:(nodes|paths|repetition)/.test(address)) return true;
  const [, k = "0", m = "0"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  return address.startsWith("op:linear") && Number(k) <= 1024 && Number(m) <= 65;
}

function everyFormatOnce(address: string): boolean {
  return /^op:linear:format=\w+;n=(1|17);k=1024/.test(address) || address.startsWith("model:nodes:model=k-quants");
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
      filter: everyFormatOnce,
      timeout,
    });
  });
});
