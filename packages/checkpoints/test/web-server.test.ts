// Checkpoints behind URLs as pages open them: servers that send whole files alone, and what an index may name.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { sentencePieceFromGguf, tokenizerFromSentencePiece } from "@polyllama/core";
import { afterEach, describe, expect, test } from "vitest";
import { tinyMetadata } from "../../core/test/tiny-tokenizer.ts";
import { openWeb } from "../src/web/open.ts";
import { WithoutRanges } from "../src/web/url.ts";
import { failure, huggingFaceConfig, huggingFaceTensors, safetensors, small } from "./support.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Serves files, by ranges only where their names match. */
async function serve(files: Readonly<Record<string, string | Uint8Array>>, ranges: RegExp, asked: string[] = []) {
  const server = createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    asked.push(name);
    const content = files[name];
    if (content === undefined) return response.writeHead(404).end();
    const bytes = Buffer.from(content);
    const [, first, last] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "") ?? [];
    if (first === undefined || !ranges.test(name)) return response.end(bytes);
    const end = Math.min(bytes.length, last === "" ? bytes.length : Number(last) + 1);
    response.writeHead(206, { "Content-Range": `bytes ${first}-${end - 1}/${bytes.length}` });
    return response.end(bytes.subarray(Number(first), end));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const config = JSON.stringify(huggingFaceConfig(small));
const weights = safetensors(huggingFaceTensors(small));

describe("a server that sends whole files alone", () => {
  test("is good for the small files, not for weights", async () => {
    const files = { "config.json": config, "model.safetensors": weights };
    await using checkpoint = await openWeb(await serve(files, /safetensors/));
    expect(checkpoint.weights.size).toBe(huggingFaceTensors(small).length);
    const error = await failure(openWeb(await serve(files, /json/)));
    expect(error).toBeInstanceOf(WithoutRanges);
    expect(error.message).toMatch(/model\.safetensors: the server answers a range request with the whole file/);
  });

  test("is asked for weights whose name is in capitals as for others", async () => {
    const url = await serve({ "M.SAFETENSORS": weights, "config.json": config }, /json/);
    expect(await failure(openWeb(`${url}M.SAFETENSORS`))).toBeInstanceOf(WithoutRanges);
    await using whole = await openWeb(`${url}M.SAFETENSORS`, { inMemory: true });
    expect(whole.kind).toBe("safetensors");
  });
});

test("templates that have names are found behind a URL, and in a folder that was chosen", async () => {
  const pieces = sentencePieceFromGguf(tinyMetadata([{ piece: "a", score: 0 }]));
  const rows = tokenizerFromSentencePiece(pieces, "m").vocabSize;
  const model = { ...small, vocabSize: rows };
  const files = {
    "config.json": JSON.stringify(huggingFaceConfig(model)),
    "model.safetensors": safetensors(huggingFaceTensors(model)),
    "tokenizer.model": pieces,
    "chat_template.jinja": "D",
    "additional_chat_templates/tool_use.jinja": "T",
  };
  const chosen = Object.entries(files).map(([path, content]) => {
    const file = new File([new Uint8Array(Buffer.from(content))], path.slice(path.lastIndexOf("/") + 1));
    return Object.defineProperty(file, "webkitRelativePath", { value: `model/${path}` });
  });
  for (const location of [await serve(files, /./), chosen]) {
    await using checkpoint = await openWeb(location);
    expect(checkpoint.text.chatTemplate?.jinja).toBe("D");
    expect(checkpoint.text.namedTemplates.map(({ name, jinja }) => [name, jinja])).toEqual([["tool_use", "T"]]);
  }
});

describe("an index names files of its own folder alone", () => {
  test.each(["", ".", "..", "../m", "a/b", "a\\b", "http:m", "m?x=1", "m#x", "m\0", "m\n"])("not %j", async (name) => {
    const index = JSON.stringify({ weight_map: { "model.norm.weight": name } });
    const asked: string[] = [];
    const url = await serve({ "config.json": config, "model.safetensors.index.json": index }, /./, asked);
    const error = await failure(openWeb(url));
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT", file: "model.safetensors.index.json" });
    expect(error.message).toContain(`${JSON.stringify(name)} is no file's name`);
    expect(new Set(asked)).toEqual(new Set(["model.safetensors", "model.safetensors.index.json"]));
  });
});
