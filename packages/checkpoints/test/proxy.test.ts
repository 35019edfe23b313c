// Requests by the proxies of the environment: a proxy of the test's own, for hosts that exist behind it alone.

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { serveHub } from "@polyllama/test-support/hub-server";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { openCheckpoint, openSynthetic, pull, writeGguf } from "../src/index.ts";
import { environmentFetch } from "../src/read/sources/proxy.ts";
import { failure, folderWith } from "./support.ts";

// For example.test and hosts of it; made for these tests.
const key = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICmFH0Zvn8wVp1p2u8OTqJUhMC7NnwVb/KKTo5/IhlP4oAoGCCqGSM49
AwEHoUQDQgAEJVwoPeCqF7rFMKKzOkZj3tjTejTqauVqEd4DTUWEuMJyRKP3gh5E
m9+Y4aZtpFWlcvELj4bCz+XdeTg5phYbuA==
-----END EC PRIVATE KEY-----`;
const cert = `-----BEGIN CERTIFICATE-----
MIIByjCCAXCgAwIBAgIUCETG2UtJkXmXLVfyLPrAgZDqy1swCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMZXhhbXBsZS50ZXN0MCAXDTI2MTEyOTE5MTYxOVoYDzIxMjYx
MTA1MTkxNjE5WjAXMRUwEwYDVQQDDAxleGFtcGxlLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQlXCg94KoXusUworM6RmPe2NN6NOpq5WoR3gNNRYS4wnJE
o/eCHkSb35jhpm2kVaVy8QuPhsLP5d15ODmmFhu4o4GXMIGUMB0GA1UdDgQWBBQr
P3d8GbcKudAin7NQOlVZrzjMWjAfBgNVHSMEGDAWgBQrP3d8GbcKudAin7NQOlVZ
rzjMWjAPBgNVHRMBAf8EBTADAQH/MEEGA1UdEQQ6MDiCDGV4YW1wbGUudGVzdIIS
ZmlsZXMuZXhhbXBsZS50ZXN0ghRzdG9yYWdlLmV4YW1wbGUudGVzdDAKBggqhkjO
PQQDAgNIADBFAiBQNPE+iwKKZ4N1PC31TCBu2p2lRGM/VcIemDgBQ0x5nQIhAMY1
Js0SkbnYn9EeH0NrfvVneBk7mfL48dap4x3e9HcL
-----END CERTIFICATE-----`;

const variables = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
let model: Uint8Array;

beforeEach(async () => {
  for (const name of variables) for (const each of [name, name.toLowerCase()]) vi.stubEnv(each, "");
  vi.stubEnv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  const path = join(await folderWith(), "m.gguf");
  await writeGguf(path, openSynthetic("synthetic://llama-2-7b?layers=1&dim=32&heads=2&hidden=32&vocab=300"));
  model = await readFile(path);
});
afterEach(() => vi.unstubAllEnvs());

/** Listens until the test ends. @returns The port. */
async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port; // it listens on a port
}

function sendModel({ headers }: IncomingMessage, response: ServerResponse): void {
  const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const end = last === "" ? model.length : Number(last) + 1;
  response.writeHead(206, { ETag: '"1"', "Content-Range": `bytes ${first}-${end - 1}/${model.length}` });
  response.end(model.subarray(Number(first), end));
}

interface Proxy {
  readonly port: number;
  /** What it was asked: `GET http://host/path`, `CONNECT host:port`. */
  readonly asked: string[];
}

/** A proxy that finds every host at the given ports of this machine, or answers with a status. */
async function startProxy({ http = 0, https = 0, status = 0 }): Promise<Proxy> {
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    if (status > 0) return response.writeHead(status).end();
    const { pathname, search } = new URL(incoming.url ?? "");
    const { method, headers } = incoming;
    const onward = request({ host: "127.0.0.1", port: http, path: pathname + search, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.end();
    return undefined;
  });
  server.on("connect", (incoming, socket: Socket) => {
    asked.push(`CONNECT ${incoming.url}`);
    if (status > 0) return socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const onward = connect(https, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [socket, onward]) end.on("error", () => undefined); // the other side left
    return undefined;
  });
  return { port: await listen(server), asked };
}

/** Reads a weight of the checkpoint behind a URL. */
async function readNorm(url: string): Promise<Uint8Array> {
  await using checkpoint = await openCheckpoint(url);
  return await checkpoint.read("norm.weight");
}

describe("a URL is read through a proxy", () => {
  const names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"];
  test.each(names)("http by %s, asked for as it is", async (name) => {
    const proxy = await startProxy({ http: await listen(createServer(sendModel)) });
    vi.stubEnv(name, `http://127.0.0.1:${proxy.port}`);
    expect((await readNorm("http://files.example.test/m.gguf")).length).toBe(4 * 32);
    expect(new Set(proxy.asked)).toEqual(new Set(["GET http://files.example.test/m.gguf"]));
  });
  test.each(["HTTPS_PROXY", "https_proxy", "all_proxy"])("https by %s, in a tunnel", async (name) => {
    const proxy = await startProxy({ https: await listen(createTlsServer({ key, cert }, sendModel)) });
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    vi.stubEnv(name, `127.0.0.1:${proxy.port}`); // without a scheme, as curl takes it
    expect((await readNorm("https://files.example.test/m.gguf")).length).toBe(4 * 32);
    expect(new Set(proxy.asked)).toEqual(new Set(["CONNECT files.example.test:443"]));
  });
  test.each(["127.0.0.1", "example.test, 127.0.0.1", "*"])("unless NO_PROXY names its host: %s", async (hosts) => {
    const port = await listen(createServer(sendModel));
    const proxy = await startProxy({ http: port });
    vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${proxy.port}`);
    const url = `http://127.0.0.1:${port}/m.gguf`;
    await readNorm(url);
    expect(proxy.asked).not.toEqual([]);
    proxy.asked.length = 0;
    vi.stubEnv("no_proxy", hosts);
    await readNorm(url);
    expect(proxy.asked).toEqual([]);
  });
  test("and by the global fetch where there is none", async () => {
    expect(await environmentFetch()).toBe(fetch);
  });
});

describe("the hub is reached through a proxy", () => {
  test("and the host that it redirects to without, where NO_PROXY names that", async () => {
    await using hub = await serveHub({ "README.md": new TextEncoder().encode("# m"), "m.Q4_0.gguf": model });
    const proxy = await startProxy({ http: Number(new URL(hub.endpoint).port) });
    vi.stubEnv("HTTP_PROXY", `http://127.0.0.1:${proxy.port}`);
    vi.stubEnv("NO_PROXY", "127.0.0.1");
    const options = { endpoint: "http://hub.example.test", cacheFolder: await folderWith(), retryDelay: 1 };
    const { path } = await pull("owner/poet", options);
    expect((await readFile(path)).equals(model)).toBe(true);
    expect(proxy.asked.length).toBeGreaterThan(2);
    for (const each of proxy.asked) expect(each).toMatch(/^GET http:\/\/hub\.example\.test\//);
    expect(hub.asked.some(({ host }) => host === "storage")).toBe(true);
  });
});

describe("errors name the proxy, and no password", () => {
  const options = async (scheme: string) => ({
    endpoint: `${scheme}://hub.example.test`,
    cacheFolder: await folderWith(),
    retryDelay: 1,
  });
  test.each(["http", "https"])("that does not answer: %s", async (scheme) => {
    const proxy = await startProxy({});
    vi.stubEnv("ALL_PROXY", "http://user:secret@127.0.0.1:1"); // nobody listens there
    const errors = [
      await failure(openCheckpoint(`${scheme}://files.example.test/m.gguf`)),
      await failure(pull("owner/poet", await options(scheme))),
    ];
    for (const { message } of errors) {
      expect(message).toContain("ECONNREFUSED");
      expect(message).toContain("through the proxy http://127.0.0.1:1");
      expect(message).not.toContain("secret");
    }
    expect(proxy.asked).toEqual([]);
  });
  test.each(["http", "https"])("that wants a login: %s", async (scheme) => {
    const proxy = await startProxy({ status: 407 });
    vi.stubEnv("ALL_PROXY", `http://127.0.0.1:${proxy.port}`);
    const errors = [
      await failure(openCheckpoint(`${scheme}://files.example.test/m.gguf`)),
      await failure(pull("owner/poet", await options(scheme))),
    ];
    for (const { message } of errors) expect(message).toContain("407");
    expect(errors[1]?.message).toContain(`the proxy http://127.0.0.1:${proxy.port}`);
  });
});
