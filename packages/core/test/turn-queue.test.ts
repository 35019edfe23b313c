// Turns at a device: nobody computes beside another one, also where somebody who waited has left.

import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { TurnQueue } from "../src/index.ts";

test("who is aborted while it waits lets nobody pass whoever has the turn", async () => {
  const turns = new TurnQueue();
  const order: string[] = [];
  let endFirst: () => void = () => undefined;
  const first = turns.run(undefined, async () => {
    await new Promise<void>((resolve) => {
      endFirst = resolve;
    });
    order.push("first ends");
  });
  const abort = new AbortController();
  const second = turns.run(abort.signal, async () => order.push("second"));
  const third = turns.run(undefined, async () => order.push("third"));
  abort.abort(new Error("left"));
  await expect(second).rejects.toThrow("left");
  await setImmediate(); // all that can run without the first one's end has run
  expect(order).toEqual([]);
  endFirst();
  await Promise.all([first, third]);
  expect(order).toEqual(["first ends", "third"]);
});
