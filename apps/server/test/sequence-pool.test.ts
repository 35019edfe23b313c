import type { Llama, Sequence } from "polyllama";
import { expect, test } from "vitest";
import { sequencePool } from "../src/sequence-pool.ts";

function pool(most: number) {
  let made = 0;
  // all that is asked of them
  const llama = { createSequence: () => ({ number: ++made }) as unknown as Sequence } as unknown as Llama;
  return { ...sequencePool(llama, most), made: () => made };
}
const never = new AbortController().signal;

test("several requests have a sequence at once, each its own; none is made before it is needed", async () => {
  const { take, giveBack, made } = pool(2);
  const first = await take(never);
  const second = await take(never);
  expect(first).not.toBe(second);
  giveBack(first);
  expect(await take(never)).toBe(first);
  expect(made()).toBe(2);
});

test("who comes when all are taken waits, in order", async () => {
  const { take, giveBack } = pool(1);
  const sequence = await take(never);
  const order: string[] = [];
  const waiting = ["a", "b"].map(async (name) => {
    const got = await take(never);
    order.push(name);
    giveBack(got);
  });
  expect(order).toEqual([]);
  giveBack(sequence);
  await Promise.all(waiting);
  expect(order).toEqual(["a", "b"]);
});

test("who leaves while waiting hears it at once, and loses nobody's turn", async () => {
  const { take, giveBack, made } = pool(1);
  const sequence = await take(never);
  const leaving = new AbortController();
  const left = take(leaving.signal);
  const next = take(never);
  leaving.abort(new Error("left"));
  await expect(left).rejects.toThrow("left");
  giveBack(sequence);
  expect(await next).toBe(sequence);
  await expect(take(leaving.signal)).rejects.toThrow("left");
  expect(made()).toBe(1);
});
