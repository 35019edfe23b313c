// The suite on the Vulkan driver that is there, with the kernels that suit the adapter, which in tests is a software
// one; the sizes of large models only in `npm test -- --full`. The linears of GPUs run on what uses them: every format,
// with subgroups and without. `npm run conformance:webgpu` runs all cases with both.

import { loweredLimits } from "@polyllama/conformance";
import { isLarge } from "@polyllama/conformance/selections";
import { conformance } from "@polyllama/conformance/vitest";
import { full } from "@polyllama/test-support/full";
import { describe } from "vitest";
import { webgpu } from "../src/index.ts";
import { describeWithAdapter } from "./support.ts";

// What fusion adds to a kernel does not depend on how a format is read: a few formats, one of each kind, have it.
const fused = /^chain:(norm-linear|linear-add|gate-up-swiglu):format=(f32|q4_0|q6_k);|^chain:norm-(qkv|logits)/;

// The paths that differ by family of kernels: batches of sequences that decode, and layers as they are fused.
const paths = /^path:(mixed:format=f32|fused:format=(f32|q4_0);)/;

/**
 * Linears of every format at small sizes and their gradients, fused with their neighbours, and in models that decode several sequences at
 * once.
 */
function usesLinears(address: string): boolean {
  const [, k, m] = /^op:linear:.*\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  if (k !== undefined) return Number(k) <= 1024 && Number(m) <= 130;
  return (
    /^op:linear(Input|Weight)Grad:/.test(address) ||
    fused.test(address) ||
    paths.test(address) ||
    /^model:(nodes|repetition):model=(grouped|k-quants)|^model:paths:model=(grouped)/.test(address)
  );
}

/**
 * What subgroups make a difference to: single rows, the norm on the way, and how many sequences a workgroup decodes.
 */
function usesSubgroups(address: string): boolean {
  return /^(op:linear:.*n=1;k=1024;m=33|chain:norm-linear:format=(q4_0|q6_k);n=1$|model:nodes:model=k-|path:mixed:format=f32;sequences=5)/.test(
    address,
  );
}

const timeout = 300_000;

describeWithAdapter("webgpu", () => {
  describe("kernels of the adapter", () => {
    conformance(() => webgpu(), {
      filter: (address) => full || !isLarge(address),
      expectations: { unsupported: { "op:attention:*;cache=q8_0": "its caches are in f32, f16 or bf16" } },
      lowered: () => webgpu({ loweredLimits }),
      everyPath: true,
      slow: full,
      timeout,
    });
  });
  describe("kernels for GPUs", () => {
    conformance(() => webgpu({ kernels: "hardware" }), { filter: usesLinears, timeout });
  });
  describe("kernels for GPUs, without subgroups, at WebGPU's default limits", () => {
    const features = { subgroups: false };
    conformance(() => webgpu({ kernels: "hardware", features, limits: "default" }), { filter: usesSubgroups, timeout });
  });
});
