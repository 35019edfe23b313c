// The files that browser tests load, and servers that misbehave. The development data stands under `/shared/`, the embedded
// model under `/poet/`; a query says how the server fails:
// `?ranges=no` ignores Range headers, `?break=N` breaks the connection after N bytes of each answer, `?status=503` refuses.

import { createReadStream, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const folders: Readonly<Record<string, string>> = {
  shared: folder("../../../shared/data/"),
  poet: folder("../../packages/model-poet/files/"),
};

export function testServer(): Plugin {
  return {
    name: "polyllama-test-server",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
        const [, name = "", ...rest] = decodeURIComponent(pathname).split("/");
        const base = folders[name];
        if (base === undefined) return next();
        serve(join(base, normalize(`/${rest.join("/")}`)), searchParams, request, response);
      });
    },
  };
}

function serve(path: string, how: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
  const found = statSync(path, { throwIfNoEntry: false });
  const status = Number(how.get("status") ?? (found?.isFile() ? 200 : 404));
  if (status !== 200 || found === undefined) {
    response.writeHead(status).end("no such file");
    return;
  }
  const { size, mtimeMs } = found;
  const etag = `"${how.get("etag") ?? `${size}-${Math.trunc(mtimeMs)}`}"`;
  const range = how.get("ranges") === "no" ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) : size - 1, size - 1);
  const headers: Record<string, string> = { ETag: etag, "Content-Length": String(end - start + 1) };
  if (range) headers["Content-Range"] = `bytes ${start}-${end}/${size}`;
  if (how.get("ranges") !== "no") headers["Accept-Ranges"] = "bytes";
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const most = Number(how.get("break") ?? Number.POSITIVE_INFINITY);
  const stream = createReadStream(path, { start, end: Math.min(end, start + most - 1) });
  stream.on("end", () => (end - start + 1 > most ? response.destroy() : response.end()));
  stream.pipe(response, { end: false });
}
