// Turns at a device: nobody computes beside another one, also where somebody who waited has left.

import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { StepQueue } from "../../src/frame/step-queue.ts";

test("who is aborted while it waits lets nobody pass whoever has the turn", async () => {
  const turns = new StepQueue();
  const order: string[] = [];
  let endFirst: () => void = () => undefined;
  const first = turns.begin(undefined, async () => {
    await new Promise<void>((resolve) => {
      endFirst = resolve;
    });
    order.push("first ends");
  });
  const abort = new AbortController();
  const second = turns.begin(abort.signal, async () => order.push("second"));
  const third = turns.begin(undefined, async () => order.push("third"));
  abort.abort(new Error("left"));
  await expect(second).rejects.toThrow("left");
  await setImmediate(); // all that can run without the first one's end has run
  expect(order).toEqual([]);
  endFirst();
  await Promise.all([first, third]);
  expect(order).toEqual(["first ends", "third"]);
});

test("many may wait under one signal, without a warning of the platform, and all hear it", async () => {
  const warn = vi.spyOn(process, "emitWarning");
  onTestFinished(() => warn.mockRestore());
  const turns = new StepQueue();
  let end: () => void = () => undefined;
  const first = turns.begin(undefined, () => new Promise<void>((resolve) => (end = resolve)));
  const abort = new AbortController();
  const others = Array.from({ length: 30 }, () => turns.begin(abort.signal, async () => "ran"));
  const reason = new Error("left");
  abort.abort(reason);
  for (const outcome of await Promise.allSettled(others)) expect(outcome).toEqual({ status: "rejected", reason });
  end();
  await first;
  expect(warn).not.toHaveBeenCalled();
});
