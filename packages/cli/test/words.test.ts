import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpu } from "@polyllama/backend-cpu";
import { onnxruntime } from "@polyllama/backend-onnxruntime";
import { reference } from "@polyllama/backend-reference";
import { ContextOverflowError, MemoryError, PolyllamaError } from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import { Llama, openCheckpoint, writeGguf } from "polyllama";
import { expect, test } from "vitest";
import { flagOf, inOwnWords } from "../src/words.ts";

async function thrown(action: () => unknown): Promise<Error> {
  try {
    await action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}

test("options of the library are named by their flags", async () => {
  const load = (options: object) => () => Llama.load(poet, { backend: reference(), ...options });
  await using llama = await Llama.load(poet, { backend: reference() });
  const cases: readonly (readonly [() => unknown, RegExp])[] = [
    [load({ contextLength: 100_000 }), /^--context must be an integer from 1 to 2048, not 100000/],
    [() => llama.generate("a", { maxTokens: 0 }), /^--max-tokens must be an integer at least 1, not 0/],
    [() => llama.generate("a", { topP: 2 }), /^--top-p must be/],
    [() => llama.generate("a", { temperature: -1 }), /^--temperature must be/],
    [() => onnxruntime({ threads: 0 }), /^--threads must be/],
    [() => cpu({ threads: 0 }), /^--threads must be/],
    [() => writeGguf("x.gguf", llama.checkpoint, { shardBytes: 0 }), /^--shard-size must be/],
  ];
  for (const [action, expected] of cases) expect(inOwnWords(await thrown(action))).toMatch(expected);
});

test("ways out are those of the command line", () => {
  const words = (message: string): string => inOwnWords(new PolyllamaError("ERR_BACKEND", message));
  expect(words('m has no tokenizer; load it with the option `tokenizer: "path"`.')).toBe(
    "m has no tokenizer; load it with --tokenizer FILE.",
  );
  expect(
    words(
      "Use onnxruntime({ cacheFolder: false }) or onnxruntime({ cacheFolder }); cpu({ threads }) or `threads: 1` does without.",
    ),
  ).toBe("Use --no-cache or --cache-folder; --threads or --threads 1 does without.");
  expect(words("remove it, or set allowMarkers if its author is trusted.")).toContain("set --allow-markers if");
  expect(inOwnWords(new ContextOverflowError(300, 256, "Load with a longer contextLength."))).toMatch(
    /^300 positions are needed but the context holds 256\. .*--context/,
  );
  expect(inOwnWords(new MemoryError("The model", 2 ** 30, 2 ** 29, 512))).toMatch(/--context 512 would fit\.$/);
});

test("what the library says of its option and of the flag is said of the flag", () => {
  const words = (message: string): string => inOwnWords(new PolyllamaError("ERR_HUB", message));
  const folder = "choose another folder with the option `cacheFolder`";
  expect(words(`${folder} (on the command line --hub-cache).`)).toBe("choose another folder with --hub-cache.");
  expect(words(`${folder} (on the command line --hub-cache, in the environment HF_HUB_CACHE).`)).toBe(
    "choose another folder with --hub-cache (in the environment HF_HUB_CACHE).",
  );
  expect(words(`leave it out with ignoreTensors: ["a.*"] (on the command line --ignore-tensors 'a.*').`)).toBe(
    "leave it out with --ignore-tensors 'a.*'.",
  );
  expect(words("allow it (requantize; --requantize on the command line).")).toBe("allow it (--requantize).");
  expect(words("allow it (overwrite, or --overwrite on the command line).")).toBe("allow it (--overwrite).");
});

test("wherever the library speaks of the command line, nothing of its own options is left", async () => {
  const folders = ["checkpoints", "core", "polyllama"].map((name) => new URL(`../../${name}/src/`, import.meta.url));
  const sources = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(new URL(name, folder), "utf8")),
  );
  // Messages that are cut into several literals are put together first.
  const joined = sources.map((text) => text.replaceAll(/["`] \+\n\s*["`]/g, "").replaceAll("\\`", "`"));
  const said = joined.flatMap((text) => text.match(/[^\n]*on the command line[^\n]*/g) ?? []);
  expect(said.length).toBeGreaterThanOrEqual(6);
  for (const line of said) expect(inOwnWords(new Error(line))).not.toMatch(/on the command line|the option `/);
});

test("a server that sends only whole files leaves the command line the file itself", async () => {
  const server = createServer((_, response) => response.end("GGUF")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const failure = await thrown(() => openCheckpoint(`http://127.0.0.1:${address.port}/m.gguf`));
  server.close();
  expect(inOwnWords(failure)).toMatch(/Serve it with range requests, or download the file and give its path\.$/);
});

test("names of files and tensors are not words of the library", () => {
  const message = '/data/maxTokens/topK.gguf, tensor "minP": damaged';
  expect(inOwnWords(new Error(message))).toBe(message);
});

test("flags of lists and of options within options", () => {
  expect(flagOf("stop[2]")).toBe("--stop");
  expect(flagOf("hub.cacheFolder")).toBe("--hub-cache");
  expect(flagOf("repetitionPenalty")).toBe("--repetition-penalty");
});
