import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { cpu } from "../src/index.ts";

test("the old name gives the ONNX Runtime backend, and one warning", async () => {
  const warn = vi.spyOn(process, "emitWarning");
  const warned = once(process, "warning");
  await using first = cpu({ activations: "f32", cacheFolder: false });
  await using second = cpu();
  expect([first.name, second.name]).toEqual(["onnxruntime", "onnxruntime"]);
  expect(first.roundings.int8Activations).toBeUndefined();
  expect(second.roundings.int8Activations).toBeDefined();
  const [warning] = await warned;
  expect(warning.message).toMatch(/onnxruntime.*@polyllama\/backend-onnxruntime.*CPU backend of its own/);
  expect(warn).toHaveBeenCalledTimes(1);
  expect(() => cpu({ threads: 0 })).toThrow("threads");
});
