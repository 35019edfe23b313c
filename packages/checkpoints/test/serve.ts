// A server of files for tests; it ends with the test.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";

/** Those that are closed after the test. */
export const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Serves files, by ranges only where their names match. */
export async function serve(
  files: Readonly<Record<string, string | Uint8Array>>,
  ranges: RegExp = /./,
  asked: string[] = [],
): Promise<string> {
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
