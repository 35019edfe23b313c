// The files that browser tests load, and servers that misbehave. The development data stands under `/shared/`, the
// embedded model under `/poet/`, and `/noise/N.gguf` has N bytes that are nothing. A query says how the server fails:
// `ranges=no` ignores Range headers, `break=N` breaks every connection after N bytes, `breaks=N` only the first,
// `status=403` refuses, `etags=N` changes the ETag after N answers; `count=NAME` counts requests, which
// `/requests/NAME` tells.

import { createReadStream, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join, normalize } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vitest/config";

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const folders: Readonly<Record<string, string>> = {
  shared: folder("../../../shared/data/"),
  poet: folder("../../packages/model-poet/files/"),
};

/** Requests so far, by name or URL. */
const requests = new Map<string, number>();

export function testServer(): Plugin {
  return {
    name: "polyllama-test-server",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
        const [, name = "", ...rest] = decodeURIComponent(pathname).split("/");
        const path = normalize(`/${rest.join("/")}`);
        if (name === "requests") response.end(JSON.stringify(requests.get(path.slice(1)) ?? 0));
        else if (name === "noise") serve(noise(Number.parseInt(path.slice(1), 10)), searchParams, request, response);
        else if (folders[name] !== undefined) serve(fileOf(join(folders[name], path)), searchParams, request, response);
        else next();
      });
    },
  };
}

interface Content {
  readonly size: number;
  read(start: number, end: number): Readable;
}

function fileOf(path: string): Content | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile()
    ? { size: found.size, read: (start, end) => createReadStream(path, { start, end }) }
    : undefined;
}

function noise(size: number): Content {
  const block = Buffer.alloc(2 ** 20, 1);
  return {
    size,
    read: (start, end) =>
      Readable.from(
        (function* () {
          for (let at = start; at <= end; at += block.length)
            yield block.subarray(0, Math.min(block.length, end + 1 - at));
        })(),
      ),
  };
}

function serve(
  content: Content | undefined,
  how: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const key = how.get("count") ?? request.url ?? "";
  const before = requests.get(key) ?? 0;
  requests.set(key, before + 1);
  const status = Number(how.get("status") ?? (content === undefined ? 404 : 200));
  if (status !== 200 || content === undefined) {
    response.writeHead(status).end();
    return;
  }
  const { size } = content;
  const range = how.get("ranges") === "no" ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) : size - 1, size - 1);
  response.writeHead(range ? 206 : 200, {
    ETag: `"${before < Number(how.get("etags") ?? Number.POSITIVE_INFINITY) ? "first" : "second"}"`,
    "Content-Length": String(end - start + 1),
    ...(range && { "Content-Range": `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const breaks = how.get("break") ?? (before === 0 ? how.get("breaks") : null);
  const most = Number(breaks ?? Number.POSITIVE_INFINITY);
  const stream = content.read(start, Math.min(end, start + most - 1));
  // A moment, so that what was sent arrives before the connection is gone.
  stream.on("end", () => (end - start + 1 > most ? setTimeout(() => response.destroy(), 50) : response.end()));
  response.on("close", () => stream.destroy());
  stream.pipe(response, { end: false });
}
