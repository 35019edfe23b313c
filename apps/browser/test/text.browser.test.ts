// Real models write the same in a page on WebGPU as the float64 reference does, greedily.

import { reference } from "@polyllama/backend-reference";
import { webgpu } from "@polyllama/backend-webgpu";
import { developmentData } from "@polyllama/test-support/shared-page";
import { type Device, Llama } from "polyllama";
import { afterAll, beforeAll, expect, test } from "vitest";

const english = "Once upon a time";
const models = [
  { name: "poet", url: "/poet/", prompt: "春夜\n李白\n" },
  { name: "stories260K.gguf", url: "/shared/weights/stories260K.gguf", prompt: english },
  { name: "stories260K.bin", url: "/shared/weights/stories260K.bin", prompt: english },
  { name: "TinyStories-656K", url: "/shared/weights/TinyStories-656K/", prompt: english },
];

let backend: Device;
beforeAll(async () => {
  backend = await webgpu();
});
afterAll(() => backend[Symbol.asyncDispose]());

test.for(models)("$name", { timeout: 120_000 }, async ({ url, prompt }, { skip }) => {
  skip(url.startsWith("/shared/") && !developmentData, "needs the development data");
  const write = async (chosen: Device) => {
    await using llama = await Llama.load(new URL(url, location.href), { backend: chosen });
    return await llama.complete(prompt, { temperature: 0, maxTokens: 24, ignoreEos: true });
  };
  const own = await write(backend);
  expect(own.ids).toHaveLength(24);
  await using exact = reference();
  expect(own).toEqual(await write(exact));
});
