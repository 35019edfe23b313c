// A checkpoint from everything that names or holds a file in Node, and words for what does not.

import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { OptionError } from "@polyllama/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OpenOptions, openCheckpoint, openSynthetic, type WebLocation, writeGguf } from "../src/index.ts";

let folder: string;
let path: string;
let server: Server;
let address: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama location %20 "));
  path = join(folder, "a model.gguf");
  await writeGguf(
    path,
    openSynthetic(
      "synthetic://tinyllama-1.1b?seed=1&format=q4_0&layers=1&dim=64&vocab=256&heads=2&kv_heads=2&hidden=64",
    ),
  );
  const bytes = await readFile(path);
  // A server that knows no range requests.
  server = createServer((request, response) => {
    if (request.url === "/short.gguf")
      response.writeHead(200, { "Content-Length": bytes.length + 1 }).write(bytes, () => response.destroy());
    else if (request.url === "/model.gguf") response.writeHead(200).end(bytes);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

/** All that the checkpoint's first weight says and holds. */
async function content(location: string | WebLocation, options?: OpenOptions): Promise<unknown> {
  await using checkpoint = await openCheckpoint(location, options);
  const [name] = checkpoint.weights.keys();
  return { config: checkpoint.config, rows: await checkpoint.read(name!, { rows: { first: 0, count: 2 } }) };
}

describe("the same checkpoint is read", () => {
  test.each<[title: string, locate: () => Promise<string | WebLocation>]>([
    ["from a file: URL", async () => pathToFileURL(path)],
    ["from a file: address", async () => pathToFileURL(path).href],
    ["from a Buffer", () => readFile(path)],
    [
      "from a part of a larger buffer",
      async () => {
        const bytes = await readFile(path);
        return new Uint8Array(Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(3)])).subarray(3, 3 + bytes.length);
      },
    ],
    ["from an ArrayBuffer", async () => new Uint8Array(await readFile(path)).buffer],
    ["from a Blob", async () => new Blob([await readFile(path)])],
    ["from a File", async () => new File([await readFile(path)], "x.gguf")],
  ])("%s", async (_title, locate) => {
    expect(await content(await locate())).toEqual(await content(path));
  });

  test("from a FileHandle, which stays open", async () => {
    const handle = await open(path);
    try {
      expect(await content(handle)).toEqual(await content(path));
      expect((await handle.stat()).size).toBeGreaterThan(0);
    } finally {
      await handle.close();
    }
  });

  test("from a server without range requests, in memory, which the error offers", async () => {
    await expect(content(`${address}/model.gguf`)).rejects.toThrow(/range request.*`inMemory: true`/);
    const seen: number[] = [];
    const options: OpenOptions = { inMemory: true, onProgress: ({ done }) => void seen.push(done) };
    expect(await content(`${address}/model.gguf`, options)).toEqual(await content(path));
    expect(seen.at(-1)).toBe((await readFile(path)).length);
    await expect(content(`${address}/short.gguf`, { inMemory: true })).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
    });
    await expect(content(`${address}/none.gguf`, { inMemory: true })).rejects.toThrow(/no such file/);
  });
});

describe("refused by name", () => {
  test.each<[title: string, location: unknown, message: RegExp]>([
    ["nothing", undefined, /must be a path, a URL, .* not undefined/],
    ["an empty path", "", /not ""/],
    ["a number", 3, /not 3/],
    ["an object", {}, /not an object/],
    ["no files", [], /not an array/],
    ["numbers", new Float32Array(3), /not a Float32Array/],
    ["a promise", Promise.resolve("x"), /Await it first/],
    ["a response", new Response("x"), /await its blob\(\)/],
    ["a stream", new Response("x").body, /all its bytes/],
    ["an address of another kind", "s3://bucket/model.gguf", /nothing is read from s3: addresses/],
    ["a URL of another kind", new URL("ftp://host/model.gguf"), /nothing is read from ftp: addresses/],
  ])("%s", async (_title, location, message) => {
    const opened = openCheckpoint(location as string);
    await expect(opened).rejects.toBeInstanceOf(OptionError);
    await expect(opened).rejects.toThrow(message);
  });

  test("a file: URL of another machine, and storage that only pages have", async () => {
    await expect(openCheckpoint("file://host/x.gguf")).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(openCheckpoint(`${address}/model.gguf`, { keep: true })).rejects.toThrow(
      /keep needs.*`inMemory: true`/,
    );
    await expect(openCheckpoint(path, { inMemory: true })).rejects.toThrow(/inMemory is for/);
  });
});

test("bytes take a tokenizer by its path, and by its bytes", async () => {
  const tokenizer = join(folder, "tokenizer.json");
  const vocab = Object.fromEntries(
    Array.from({ length: 256 }, (_, id) => [id < 3 ? ["<unk>", "<s>", "</s>"][id] : `t${id}`, id]),
  );
  await writeFile(
    tokenizer,
    JSON.stringify({ model: { type: "BPE", vocab, merges: [], unk_token: "<unk>" }, added_tokens: [] }),
  );
  for (const given of [tokenizer, pathToFileURL(tokenizer), await readFile(tokenizer)]) {
    await using checkpoint = await openCheckpoint(await readFile(path), { tokenizer: given });
    expect(checkpoint.tokenizer?.vocabSize).toBe(256);
  }
});
