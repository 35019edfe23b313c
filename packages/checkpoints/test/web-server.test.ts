// Checkpoints behind URLs as pages open them: servers that send whole files alone, and what an index may name.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tokenizerFromSentencePiece } from "@polyllama/core";
import { tinyMetadata } from "@polyllama/test-support/tiny-tokenizer";
import { sentencePieceFromGguf } from "@polyllama/vocabulary";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../src/index.ts";
import { openCheckpointBy } from "../src/open.ts";
import { WithoutRanges } from "../src/read/sources/url.ts";
import { wholeSource } from "../src/read/sources/whole.ts";
import { serve, servers } from "./serve.ts";
import { failure, huggingFaceConfig, huggingFaceFiles, huggingFaceTensors, safetensors, small } from "./support.ts";

const config = JSON.stringify(huggingFaceConfig(small));
const weights = safetensors(huggingFaceTensors(small));

describe("a server that sends whole files alone", () => {
  test("is good for the small files, not for weights", async () => {
    const files = { "config.json": config, "model.safetensors": weights };
    await using checkpoint = await openCheckpoint(await serve(files, /safetensors/));
    expect(checkpoint.weights.size).toBe(huggingFaceTensors(small).length);
    const error = await failure(openCheckpoint(await serve(files, /json/)));
    expect(error).toBeInstanceOf(WithoutRanges);
    expect(error.message).toMatch(/model\.safetensors: the server answers a range request with the whole file/);
  });

  test("is asked for weights whose name is in capitals as for others", async () => {
    const url = await serve({ "M.SAFETENSORS": weights, "config.json": config }, /json/);
    expect(await failure(openCheckpoint(`${url}M.SAFETENSORS`))).toBeInstanceOf(WithoutRanges);
    await using whole = await openCheckpoint(`${url}M.SAFETENSORS`, { inMemory: true });
    expect(whole.kind).toBe("safetensors");
  });
});

describe("what is not there", () => {
  /** Answers a request for each of these names in its way, for others with a page. */
  async function serveBy(answers: Readonly<Record<string, (response: ServerResponse, ranged: boolean) => unknown>>) {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const ranged = request.headers.range !== undefined;
      const name = (request.url ?? "").slice(1);
      asked.push(`${name}${ranged ? " by range" : ""}`);
      const page = () => response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end("<!doctype html>");
      (answers[name] ?? page)(response, ranged);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked };
  }

  test("may be answered with a page", async () => {
    const { url } = await serveBy({});
    for (const inMemory of [false, true]) {
      const error = await failure(openCheckpoint(`${url}m.gguf`, { inMemory }));
      expect(error).toMatchObject({
        code: "ERR_CHECKPOINT",
        message: expect.stringMatching(/m\.gguf: there is no such/),
      });
    }
    expect(await wholeSource(`${url}tokenizer.json`, {})).toBeUndefined();
  });

  test("is not asked for whole because a refusal happens to speak of a range request", async () => {
    const { url, asked } = await serveBy({
      "config.json": (response, ranged) => {
        if (ranged) response.writeHead(403, "No range request here").end();
        else response.end(config);
      },
    });
    const refused = { code: "ERR_CHECKPOINT", message: expect.stringMatching(/403 No range request here/) };
    expect(await failure(openCheckpoint(`${url}config.json`))).toMatchObject(refused);
    expect(asked).toEqual(["config.json by range"]);
  });
});

test("templates that have names are found behind a URL, and in a folder that was chosen", async () => {
  const pieces = sentencePieceFromGguf(tinyMetadata([{ piece: "a", score: 0 }]));
  const rows = tokenizerFromSentencePiece(pieces, "m").vocabSize;
  const model = { ...small, vocabSize: rows };
  const files = {
    ...huggingFaceFiles(model),
    "tokenizer.model": pieces,
    "chat_template.jinja": "D",
    "additional_chat_templates/tool_use.jinja": "T",
  };
  const chosen = Object.entries(files).map(([path, content]) => {
    const file = new File([new Uint8Array(Buffer.from(content))], path.slice(path.lastIndexOf("/") + 1));
    return Object.defineProperty(file, "webkitRelativePath", { value: `model/${path}` });
  });
  for (const location of [await serve(files, /./), chosen]) {
    await using checkpoint = await openCheckpoint(location);
    expect(checkpoint.text.chatTemplate?.jinja).toBe("D");
    expect(checkpoint.text.namedTemplates.map(({ name, jinja }) => [name, jinja])).toEqual([["tool_use", "T"]]);
  }
});

test("everything is fetched by the function that was given, a tokenizer elsewhere too", async () => {
  const pieces = sentencePieceFromGguf(tinyMetadata([{ piece: "a", score: 0 }]));
  const rows = tokenizerFromSentencePiece(pieces, "m").vocabSize;
  const paths: string[] = [];
  const asked: string[] = [];
  const url = await serve({ ...huggingFaceFiles({ ...small, vocabSize: rows }), "t.model": pieces }, /./, asked);
  const given: typeof fetch = (input, init) => {
    paths.push(new URL(String(input)).pathname.slice(1));
    return fetch(input, init);
  };
  await using checkpoint = await openCheckpointBy(given, url, { tokenizer: `${url}t.model` });
  expect(checkpoint.tokenizer?.vocabSize).toBe(rows);
  expect(asked).toContain("t.model");
  expect(paths).toEqual(asked);
});

describe("a small file is bounded as one on a disk is", () => {
  const most = 256 * 2 ** 20;
  /** Answers for that name as `answer` does, for others with what they hold. */
  async function spoiled(name: string, answer: (response: ServerResponse, range: string) => unknown) {
    const server = createServer((request, response) => {
      if (request.url === `/${name}`) return answer(response, request.headers.range ?? "");
      const content = { "/config.json": config, "/model.safetensors": weights }[request.url ?? ""];
      if (content === undefined) return response.writeHead(404).end();
      const bytes = Buffer.from(content);
      const [, first, last] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "") ?? [];
      const range = bytes.subarray(Number(first), Number(last) + 1);
      response.writeHead(206, { "Content-Range": `bytes ${first}-${last}/${bytes.length}` });
      return response.end(range);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }
  /** Sends what is asked for of a file of spaces that is too long. */
  const spaces = (response: ServerResponse, asked: string) => {
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(asked) ?? [];
    response.writeHead(206, { "Content-Range": `bytes ${first}-${last}/${most + 1}` });
    response.end(Buffer.alloc(Number(last) - Number(first) + 1, " "));
  };
  const tooMany = (name: string, bytes: number) => ({
    code: "ERR_CHECKPOINT",
    file: expect.stringContaining(name),
    message: expect.stringContaining(`${bytes} bytes are too many for such a file`),
  });

  test.each(["config.json", "tokenizer_config.json", "tokenizer.model", "chat_template.jinja"])(
    "%s with ranges, and without",
    async (name) => {
      const ranged = await spoiled(name, spaces);
      expect(await failure(openCheckpoint(ranged))).toMatchObject(tooMany(name, most + 1));
      const whole = await spoiled(name, (response) => {
        response.writeHead(200, { "Content-Length": most + 2 });
        response.write("{");
      });
      expect(await failure(openCheckpoint(whole))).toMatchObject(tooMany(name, most + 2));
    },
  );

  test("a tokenizer that was asked for, too", async () => {
    const url = await spoiled("t.json", spaces);
    expect(await failure(openCheckpoint(url, { tokenizer: `${url}t.json` }))).toMatchObject(
      tooMany("t.json", most + 1),
    );
  });

  test("a file of a length that nobody told ends where the bound is passed", async () => {
    const url = await spoiled("config.json", (response) => {
      response.writeHead(200);
      const piece = Buffer.alloc(2 ** 16, " ");
      const send = (): void => {
        while (!response.destroyed && response.write(piece));
        response.once("drain", send);
      };
      send();
    });
    const bound = 2 ** 20;
    const error = await failure(wholeSource(`${url}config.json`, {}, { most: bound }));
    expect(error.message).toMatch(/config\.json: \d+ bytes are too many for such a file/);
    expect(Number(/(\d+) bytes/.exec(error.message)?.[1])).toBeLessThan(2 * bound);
  });
});

describe("an index names files of its own folder alone", () => {
  test.each(["", ".", "..", "../m", "a/b", "a\\b", "http:m", "m?x=1", "m#x", "m\0", "m\n"])("not %j", async (name) => {
    const index = JSON.stringify({ weight_map: { "model.norm.weight": name } });
    const asked: string[] = [];
    const url = await serve({ "config.json": config, "model.safetensors.index.json": index }, /./, asked);
    const error = await failure(openCheckpoint(url));
    expect(error).toMatchObject({
      code: "ERR_CHECKPOINT",
      file: expect.stringMatching(/model\.safetensors\.index\.json$/),
    });
    expect(error.message).toContain(`${JSON.stringify(name)} is not the name of a file beside the index`);
    expect(new Set(asked)).toEqual(new Set(["model.safetensors", "model.safetensors.index.json"]));
  });
});
