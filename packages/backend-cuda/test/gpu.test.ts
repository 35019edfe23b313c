// What holds the card's own objects: they are given back whatever fails, and nothing reads them after that.

import { PolyllamaError } from "@polyllama/core";
import { expect, test, vi } from "vitest";
import { Gpu } from "../src/gpu.ts";
import { PinnedMemory } from "../src/memory.ts";
import { describeWithEmulation } from "./support.ts";

test("memory of the host that was freed is refused, and freed once", () => {
  const free = vi.fn();
  const memory = new PinnedMemory({ address: 16n, bytes: new ArrayBuffer(8) }, free);
  expect(memory.buffer.byteLength).toBe(8);
  memory[Symbol.dispose]();
  memory[Symbol.dispose]();
  expect(free).toHaveBeenCalledOnce();
  expect(() => memory.buffer).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
});

await describeWithEmulation("a card", (emulation) => {
  const { control, library, images } = emulation;

  test.each([
    ["a thread", 0],
    ["a timer, where the driver wants a context for that", 201],
  ])("what takes long is waited for by %s", async (_, code) => {
    control.reset();
    const gpu = new Gpu({ device: 0, library, images });
    if (code !== 0) control.fail("cuEventSynchronize", 0, code);
    control.busy(1_000_000);
    control.log();
    await gpu.finished();
    const calls = control.log();
    expect(calls.filter((call) => call === "cuEventSynchronize")).toHaveLength(code === 0 ? 1 : 2);
    expect(calls.filter((call) => call === "cuEventQuery").length).toBeLessThan(100);
    gpu.dispose();
    expect(control.live()).toBe(0);
  });

  test("what is done soon is asked for between turns of the event loop", async () => {
    control.reset();
    const gpu = new Gpu({ device: 0, library, images });
    control.busy(3);
    control.log();
    await gpu.finished();
    const calls = control.log();
    expect(calls.filter((call) => call.startsWith("cuEvent"))).toEqual([
      "cuEventRecord",
      ...Array(4).fill("cuEventQuery"),
    ]);
    gpu.dispose();
  });

  test("what fails while it is recorded is told, and its graph is given back", () => {
    control.reset();
    const gpu = new Gpu({ device: 0, library, images });
    const ended = vi.spyOn(gpu.driver, "endCapture");
    const destroyed = vi.spyOn(gpu.driver, "destroyGraph");
    const failure = new Error("a launch failed");
    const fail = (): never => {
      throw failure;
    };
    expect(() => gpu.capture(fail)).toThrow(failure);
    expect(destroyed.mock.calls).toEqual([[ended.mock.results[0]!.value]]);

    // The driver may refuse to end what failed: that is not what went wrong first.
    ended.mockImplementationOnce(() => {
      throw new PolyllamaError("ERR_BACKEND", "cuStreamEndCapture returned CUDA_ERROR_STREAM_CAPTURE_INVALIDATED");
    });
    expect(() => gpu.capture(fail)).toThrow(failure);
    vi.restoreAllMocks();
    gpu.driver.destroyGraph(gpu.driver.endCapture(gpu.stream)); // which the emulated card still holds
    gpu.dispose();
    expect(control.live()).toBe(0);
  });
});
