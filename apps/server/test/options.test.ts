import { afterEach, expect, test, vi } from "vitest";
import { readOptions } from "../src/options.ts";

const read = (...args: readonly string[]) => readOptions(args, ["cpu", "cuda"]);

test("--help names every option, and the backends", () => {
  for (const flag of ["--help", "-h"]) expect(read(flag)).toMatchObject({ code: 0 });
  const text = expect.stringMatching(
    /^usage: .*--backend NAME +cpu, cuda .*--model .*--parallel .*--host .*--port .*--cors .*--help/s,
  );
  expect(read("--help")).toEqual({ code: 0, text });
});

test.each([
  [["--nonsense"], /Unknown option '--nonsense'/],
  [["words"], /Unexpected argument 'words'/],
  [["--port"], /--port/],
  [["--backend", "tpu"], /--backend is one of cpu, cuda, not tpu/],
  [["--port", "abc"], /--port is a number/],
  [["--port", "65536"], /--port is a number/],
  [["--port="], /--port is a number/],
  [["--parallel", "0"], /--parallel is a number/],
  [["--parallel", "1.5"], /--parallel is a number/],
  [["--cors", "http://localhost:5173/"], /--cors is an origin such as http:/],
  [["--cors", "localhost:5173"], /--cors is an origin such as http:/],
] as const)("%j is refused in a line", (args, reason) => {
  const text = expect.stringMatching(/^error: [^\n]*; --help lists the options\n$/);
  expect(read(...args)).toEqual({ code: 2, text });
  expect(read(...args)).toEqual({ code: 2, text: expect.stringMatching(reason) });
});

test("what is given arrives", () => {
  const given = ["--backend", "cuda", "--model", "a.gguf", "--parallel", "2", "--host", "::1", "--port", "0", "--cors"];
  const options = { backend: "cuda", model: "a.gguf", parallel: 2, host: "::1", port: 0 };
  for (const cors of ["*", "http://localhost:5173"]) expect(read(...given, cors)).toEqual({ ...options, cors });
  expect(read()).toMatchObject({ backend: "cpu", parallel: 4, host: "127.0.0.1", port: 8080 });
  expect(read()).not.toHaveProperty("cors");
});

const { argv } = process;
afterEach(() => {
  process.argv = argv;
  vi.restoreAllMocks();
});

test.each([
  [["--help"], 0, "stdout", /^usage: /],
  [["--nonsense"], 2, "stderr", /^error: Unknown option '--nonsense'; --help lists the options\n$/],
  [["--model", "nowhere.gguf"], 1, "stderr", /^[^\n]*nowhere\.gguf[^\n]*\n$/],
] as const)("the program ends with %j", async (args, code, stream, printed) => {
  const ended = new Error("ended");
  const exit = vi.spyOn(process, "exit").mockImplementation(() => {
    throw ended;
  });
  process.argv = ["node", "main.ts", ...args];
  vi.spyOn(console, "error").mockImplementation((line) => process.stderr.write(`${line}\n`));
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    vi.spyOn(process[name], "write").mockImplementation((chunk) => {
      text[name] += String(chunk);
      return true;
    });
  vi.resetModules();
  await expect(import("../src/main.ts")).rejects.toBe(ended);
  expect(exit).toHaveBeenCalledExactlyOnceWith(code);
  expect(text).toEqual({ stdout: "", stderr: "", [stream]: expect.stringMatching(printed) });
});
