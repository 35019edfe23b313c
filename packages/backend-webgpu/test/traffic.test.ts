// What a step moves: weights that its kernels are bound to, whatever the number of sequences, and what the host sends
// for a token, however long the text is.

import { createSampler } from "@polyllama/core";
import { cacheSpec, type Step } from "@polyllama/core/device";
import { expect, test, vi } from "vitest";
import { findAdapter, webgpu } from "../src/index.ts";
import { describeWithAdapter, tinyModel } from "./support.ts";

/** Bytes of the given buffers that dispatches are bound to, a buffer once for each dispatch. */
function countBound(device: GPUDevice, counted: ReadonlySet<GPUBuffer>): { dispatches: number; bytes: number } {
  const totals = { dispatches: 0, bytes: 0 };
  const sizes = new Map<GPUBindGroup, number>();
  const bind = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    const group = bind(descriptor);
    const buffers = [...descriptor.entries].flatMap(({ resource }) => ("buffer" in resource ? [resource.buffer] : []));
    const own = buffers.filter((buffer) => counted.has(buffer));
    sizes.set(
      group,
      [...new Set(own)].reduce((sum, { size }) => sum + size, 0),
    );
    return group;
  };
  const encode = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = encode(descriptor);
    const begin = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = begin(passDescriptor);
      const set = pass.setBindGroup.bind(pass) as (index: number, group: GPUBindGroup) => void; // the form used here
      let bound = 0;
      pass.setBindGroup = (index: number, group: GPUBindGroup | null | undefined) => {
        bound = sizes.get(group!) ?? 0; // one is given
        set(index, group!);
      };
      const dispatch = pass.dispatchWorkgroups.bind(pass);
      pass.dispatchWorkgroups = (...grid) => {
        totals.dispatches++;
        totals.bytes += bound;
        dispatch(...grid);
      };
      return pass;
    };
    return encoder;
  };
  return totals;
}

const draw = createSampler({ temperature: 0 }).draw!; // nothing in these options is the host's alone

async function loaded(contextLength: number, sequences: number) {
  const { graph, source } = tinyModel();
  const gpu = await (await findAdapter({})).requestDevice();
  const device = await webgpu({ device: gpu });
  const create = vi.spyOn(gpu, "createBuffer");
  const parameters = await device.loadParameters([graph], source);
  const weights = new Set(create.mock.results.map(({ value }) => value as GPUBuffer)); // all that loading has made
  create.mockRestore();
  const totals = countBound(gpu, weights);
  const program = await device.compile(graph, parameters);
  const pool = device.cachePool(cacheSpec(graph), { rows: contextLength, sequences });
  const step = (caches: readonly ReturnType<typeof pool.open>[], rows: number): Step => ({
    inputs: { tokens: new Int32Array(rows * caches.length).fill(1) },
    sequences: caches.map((cache) => ({ rows, cache })),
    outputs: [{ value: "logits", rows: "last", to: "token", draw: caches.map(() => draw) }],
  });
  const end = async (): Promise<void> => {
    await device[Symbol.asyncDispose]();
    gpu.destroy();
  };
  return { gpu, parameters, program, pool, step, totals, [Symbol.asyncDispose]: end };
}

describeWithAdapter("what a step moves", () => {
  test("eight sequences that decode together read each weight once, as one does", async () => {
    await using subject = await loaded(64, 10);
    const { parameters, program, pool, step, totals } = subject;
    const measured = async (sequences: number) => {
      const caches = Array.from({ length: sequences }, () => pool.open());
      await program.submit(step(caches, 3)).result;
      Object.assign(totals, { dispatches: 0, bytes: 0 });
      await program.submit(step(caches, 1)).result;
      return { ...totals };
    };
    const one = await measured(1);
    expect(one.bytes).toBeGreaterThanOrEqual(parameters.bytes);
    expect(one.bytes).toBeLessThan(1.01 * parameters.bytes); // buffers are rounded up to vectors
    expect(await measured(8)).toEqual(one);
  });

  test("what the host sends for a token grows by an entry for each block of its text", async () => {
    await using subject = await loaded(4096, 1);
    const { gpu, program, pool, step } = subject;
    const cache = pool.open();
    const written = vi.spyOn(gpu.queue, "writeBuffer");
    const sent = async (): Promise<{ readonly writes: number; readonly bytes: number }> => {
      written.mockClear();
      await program.submit(step([cache], 1)).result;
      const bytes = written.mock.calls.reduce((sum, [, , data]) => sum + data.byteLength, 0);
      return { writes: written.mock.calls.length, bytes };
    };
    await program.submit(step([cache], 39)).result;
    await sent(); // plan and pool meet
    const early = await sent();
    await program.submit(step([cache], 3900)).result;
    await sent(); // buffers that grow have grown
    const late = await sent();
    expect(late.writes).toBe(early.writes);
    const entries = Math.ceil(cache.length / pool.blockRows) - Math.ceil(41 / pool.blockRows);
    expect(late.bytes - early.bytes).toBe(4 * entries);
  });
});
