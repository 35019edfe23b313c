// An imitation of the hub, as two servers: the hub itself with its listings and small files, and another host that
// large files are redirected to. Tests say request by request how it misbehaves.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly host: "hub" | "storage";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** What an answer does wrong. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Closes the connection after so many bytes. */
  readonly breakAfter?: number;
  /** Falls silent after so many bytes. */
  readonly stallAfter?: number;
  readonly ignoreRange?: boolean;
  /** Sends the file from this byte on, whatever was asked for, and says so. */
  readonly from?: number;
  /** Flips the first byte it sends. */
  readonly corrupt?: boolean;
}

export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly commit: string;
  /** Every request so far. */
  readonly asked: Asked[];
  /** Paths of the files whose content was asked for. */
  fetched(): string[];
  /** Decides what goes wrong with a request. */
  fault: (asked: Asked) => Fault | undefined;
  close(): Promise<void>;
}

export const repository = "owner/poet";
export const commit: string = "0123456789abcdef0123456789abcdef01234567";

/** @param files Content by path; those above 10 kB are large files. */
export async function serveHub(files: Readonly<Record<string, Uint8Array>>): Promise<HubServer> {
  const stored = new Map<string, Uint8Array>();
  const tree = Object.entries(files).map(([path, bytes]) => {
    const large = bytes.length > 10_000;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    stored.set(sha256, bytes);
    const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
    const lfs = { oid: sha256, size: bytes.length, pointerSize: 130 };
    return {
      type: "file",
      path,
      size: bytes.length,
      oid: large ? oid.replaceAll("0", "1") : oid,
      ...(large && { lfs }),
    };
  });
  const asked: Asked[] = [];

  const base = `/api/models/${repository}`;
  const prefix = `/${repository}/resolve/${commit}/`;
  const answer = (host: Asked["host"], request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const { range, authorization } = request.headers;
    const entry: Asked = { host, path: decodeURIComponent(url.pathname), range, authorization };
    asked.push(entry);
    const fault = hub.fault(entry) ?? {};
    const file = tree.find(({ path }) => prefix + path === entry.path);
    if (fault.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
    } else if (host === "storage") {
      sendBytes(response, stored.get(entry.path.slice(1))!, entry, fault);
    } else if (entry.path === `${base}/revision/main` || entry.path === `${base}/revision/${commit}`) {
      sendJson(response, { _id: "1", id: repository, sha: commit, lastModified: "2024-01-01T00:00:00.000Z" });
    } else if (entry.path === `${base}/tree/${commit}`) {
      // Two pages, as long listings come.
      const second = url.searchParams.has("cursor");
      const next = `<${hub.endpoint}${base}/tree/${commit}?recursive=true&cursor=2>; rel="next"`;
      const half = tree.length >> 1;
      sendJson(response, second ? tree.slice(half) : tree.slice(0, half), second ? {} : { Link: next });
    } else if (file === undefined) {
      const code = entry.path.startsWith(base) ? "RevisionNotFound" : "RepoNotFound";
      response.writeHead(code === "RepoNotFound" && authorization === undefined ? 401 : 404, { "X-Error-Code": code });
      response.end();
    } else if (file.lfs) {
      response.writeHead(302, { Location: `${storageUrl}/${file.lfs.oid}` }).end();
    } else {
      sendBytes(response, files[file.path]!, entry, fault);
    }
  };

  const servers = (["hub", "storage"] as const).map((host) =>
    createServer((request, response) => answer(host, request, response)),
  );
  const [hubUrl = "", storageUrl = ""] = await Promise.all(servers.map(listen));
  const close = async (): Promise<void> => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  const hub: HubServer = {
    endpoint: hubUrl,
    commit,
    asked,
    fetched: () => asked.flatMap(({ path }) => (path.startsWith(prefix) ? [path.slice(prefix.length)] : [])),
    fault: () => undefined,
    close,
    [Symbol.asyncDispose]: close,
  };
  return hub;
}

function sendJson(response: ServerResponse, value: object, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(value));
}

function sendBytes(response: ServerResponse, whole: Uint8Array, { range }: Asked, fault: Fault): void {
  const asked = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  const first = fault.ignoreRange ? 0 : (fault.from ?? asked);
  const bytes = Buffer.from(whole.subarray(first));
  if (fault.corrupt) bytes[0]! ^= 1;
  const partial = range !== undefined && !fault.ignoreRange;
  response.writeHead(partial ? 206 : 200, {
    "Content-Length": bytes.length,
    ...(partial && { "Content-Range": `bytes ${first}-${whole.length - 1}/${whole.length}` }),
  });
  const end = fault.breakAfter ?? fault.stallAfter;
  if (end === undefined) response.end(bytes);
  else response.write(bytes.subarray(0, end), () => fault.breakAfter !== undefined && response.destroy());
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port, not on a pipe
}
