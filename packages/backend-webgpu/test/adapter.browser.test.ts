// A page without WebGPU, and one whose browser has no adapter, get errors that say so.

import { webgpu } from "@polyllama/backend-webgpu";
import { afterEach, expect, test } from "vitest";

const { gpu } = navigator;

/** `navigator.gpu` as another browser has it. */
function pretend(value: unknown): void {
  Object.defineProperty(navigator, "gpu", { value, configurable: true });
}

afterEach(() => pretend(gpu));

test("navigator.gpu is missing", async () => {
  pretend(undefined);
  await expect(webgpu()).rejects.toMatchObject({
    code: "ERR_BACKEND",
    message: expect.stringMatching(/no WebGPU \(navigator\.gpu is missing\).*current Chrome/),
  });
});

test("the adapter is null", async () => {
  pretend({ requestAdapter: async () => null });
  await expect(webgpu()).rejects.toMatchObject({
    code: "ERR_BACKEND",
    message: expect.stringMatching(/found no adapter.*hardware acceleration/),
  });
});
