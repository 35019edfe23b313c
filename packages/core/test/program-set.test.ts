// The programs of a backend: none outlives it, whenever its loading ends.

import { expect, test } from "vitest";
import { buildGraph, type Program, ProgramSet } from "../src/index.ts";

function fakeProgram(onDispose: () => void): Program {
  const refuse = (): never => {
    throw new Error("not used");
  };
  return {
    graph: buildGraph((g) => [g.activations("x", 1)]),
    createCache: refuse,
    run: refuse,
    async [Symbol.asyncDispose]() {
      onDispose();
    },
  };
}

test("a program that is loaded after its backend was disposed is disposed, too, before the rest is", async () => {
  const order: string[] = [];
  const programs = new ProgramSet<Program>();
  let loaded: (program: Program) => void = () => undefined;
  const loading = programs.load(undefined, () => new Promise((resolve) => (loaded = resolve))); // heeds no signal
  const disposed = programs.dispose(() => void order.push("rest"));
  loaded(fakeProgram(() => order.push("program")));
  await expect(loading).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  await disposed;
  expect(order).toEqual(["program", "rest"]);
});
