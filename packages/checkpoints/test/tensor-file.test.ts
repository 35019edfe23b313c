import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openTensorFile, type TensorToWrite, writeTensorFile } from "../src/index.ts";

const folder = await mkdtemp(join(tmpdir(), "tensor-file-"));
afterAll(() => rm(folder, { recursive: true }));

const numbers = Float64Array.of(1 / 3, -0, Number.MIN_VALUE, 2 ** 1000);
const halves = Float32Array.of(0.5, 1.5);
const tensors: readonly TensorToWrite[] = [
  { name: "any name", dtype: "F64", shape: [2, 2], read: async () => new Uint8Array(numbers.buffer) },
  { name: "norm.weight", dtype: "F32", shape: [2], read: async () => new Uint8Array(halves.buffer) },
];

test("tensors of both kinds come back to the bit", async () => {
  const path = join(folder, "a.safetensors");
  await writeTensorFile(path, tensors);
  await using file = await openTensorFile(path);
  expect([...file.tensors.values()]).toMatchObject([
    { name: "any name", dtype: "F64", shape: [2, 2] },
    { name: "norm.weight", dtype: "F32", shape: [2] },
  ]);
  expect(new Float64Array((await file.read("any name")).buffer)).toEqual(numbers);
  expect(new Float32Array((await file.read("norm.weight")).buffer)).toEqual(halves);
  await expect(file.read("other")).rejects.toMatchObject({ code: "ERR_CHECKPOINT", tensor: "other" });
  await expect(writeTensorFile(path, tensors)).rejects.toMatchObject({ code: "ERR_OPTION" });
  await writeTensorFile(path, tensors.slice(1), { overwrite: true });
});

test("a tensor that cannot be read, or has other bytes than its shape says, leaves nothing behind", async () => {
  const before = await readdir(folder);
  const read = async () => new Uint8Array(3);
  const path = join(folder, "b.safetensors");
  await expect(writeTensorFile(path, [{ ...tensors[1]!, read }])).rejects.toThrow("has 3 bytes, not 8");
  const failing = () => Promise.reject(new Error("the source failed"));
  await expect(writeTensorFile(path, [tensors[0]!, { ...tensors[1]!, read: failing }])).rejects.toThrow(
    "source failed",
  );
  expect(await readdir(folder)).toEqual(before);
});
