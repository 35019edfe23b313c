import { expect, test, vi } from "vitest";
import { help, readOptions } from "../src/options.ts";
import { run } from "../src/run.ts";

test("what is not given has a default", () => {
  expect(readOptions([])).toEqual({
    only: ["card", "conformance", "sanitizer", "bench"],
    minutes: 8,
    output: "gpu-check",
    device: 0,
    seed: 1,
    webgpu: true,
  });
  expect(readOptions(["--help"])).toBeUndefined();
});

test.each([
  ["--only bench,card", { only: ["bench", "card"] }],
  ["--minutes 4", { minutes: 4 }],
  ["--output other", { output: "other" }],
  ["--device 2", { device: 2 }],
  ["--seed 0", { seed: 0 }],
  ["--no-webgpu", { webgpu: false }],
  ["--model m.gguf", { model: "m.gguf" }],
])("%s", (given, expected) => {
  expect(readOptions(given.split(" "))).toMatchObject(expected);
});

test.each([
  ["--only cards", /there is no part "cards"; there are card, conformance, sanitizer, bench/],
  ["--minutes 0", /--minutes must be an integer of at least 1/],
  ["--seed x", /--seed must be an integer of at least 0/],
  ["--only card --model m", /--model needs bench/],
  ["--nonsense", /'--nonsense'/],
  ["word", /'word'/],
])("%s is refused", (given, message) => {
  expect(() => readOptions(given.split(" "))).toThrow(message);
});

test("the program prints its help, and refuses what is wrong with a line", async () => {
  const written: string[] = [];
  const streams = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockImplementation((text) => written.push(String(text)) > 0),
  );
  const codes = [await run(["--help"]), await run(["--minutes", "0"])];
  for (const stream of streams) stream.mockRestore();
  expect(codes).toEqual([0, 2]);
  expect(written).toEqual([help, "error: --minutes must be an integer of at least 1\n"]);
});
