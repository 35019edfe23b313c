// A file behind a URL as a source of bytes, by HTTP range requests, so that a checkpoint of any size is read without
// ever being held. A broken connection is taken up again where it broke. What a server answers is checked against the
// ETag and size of the first answer: a file that is replaced meanwhile is an error and never a mixture.

import { CheckpointError, PolyllamaError } from "@polyllama/core";
import { type ByteSource, checkRange } from "./byte-source.ts";

/** Small reads, of headers, are served from one block of this size. */
const blockBytes = 2 ** 20;
const mostTries = 4;
const pauseMilliseconds = 250;

/** How requests are sent: Node's entry gives one that uses the environment's proxies. */
export interface Sending {
  readonly fetch?: typeof fetch;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a file behind a URL; undefined where there is none (404).
 *
 * @throws {CheckpointError} for other refusals, no connection, and servers that ignore range requests.
 */
export async function urlSource(url: string, sending: Sending = {}): Promise<ByteSource | undefined> {
  const probe = await request(url, 0, 1, sending);
  await probe.body?.cancel();
  // Servers of single-page applications answer with their page for what is not there.
  if (probe.status === 404 || probe.headers.get("Content-Type")?.startsWith("text/html")) return undefined;
  if (probe.status === 416) return emptySource(url);
  if (probe.status === 200) {
    throw new WithoutRanges(
      { file: url },
      "the server answers a range request with the whole file",
      "Serve it with range requests, or read it whole with the option `inMemory: true`; in a page `keep: true` downloads it once into the browser's own storage.",
    );
  }
  const size = Number(
    /\/(\d+)$/.exec(probe.headers.get("Content-Range") ?? "")?.[1] ?? (await sizeByHead(url, sending)),
  );
  const tag = versionOf(probe);
  let block: { readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;
  let closed = false;

  async function read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (closed) throw new PolyllamaError("ERR_DISPOSED", `${url} is closed; its checkpoint was disposed.`);
    signal?.throwIfAborted();
    checkRange(url, size, offset, length);
    const bytes = new Uint8Array(length);
    let done = 0;
    await resuming(url, signal, async () => {
      if (done === length) return;
      const response = await request(url, offset + done, length - done, { ...sending, signal });
      check(response, offset + done);
      const before = done;
      try {
        for await (const chunk of chunks(response)) {
          if (done + chunk.length > length) throw changed(url);
          bytes.set(chunk, done);
          done += chunk.length;
        }
      } catch (error) {
        throw done > before ? new Progressed(error) : error;
      }
      if (done < length) throw new Progressed(new Error("the connection ended early"));
    });
    return bytes;
  }

  function check(response: Response, offset: number): void {
    if (response.status !== 206) throw refused(url, response);
    const range = response.headers.get("Content-Range"); // hidden from other origins unless the server exposes it
    if (versionOf(response) !== tag || (range !== null && !range.startsWith(`bytes ${offset}-`))) throw changed(url);
  }

  return {
    name: url,
    size,
    version: tag || undefined,
    async read(offset, length, signal) {
      if (length >= blockBytes) return read(offset, length, signal);
      if (block === undefined || offset < block.offset || offset + length > block.offset + block.bytes.length) {
        checkRange(url, size, offset, length);
        block = { offset, bytes: await read(offset, Math.min(blockBytes, size - offset), signal) };
      }
      const first = offset - block.offset;
      return block.bytes.slice(first, first + length);
    },
    async close() {
      closed = true;
      block = undefined;
    },
  };
}

/**
 * A file behind a URL as a stream from some byte on, for downloads. The server may ignore the range: `first` says where
 * the stream really begins.
 *
 * @throws {CheckpointError}
 */
export async function streamFrom(
  url: string,
  offset: number,
  signal?: AbortSignal,
): Promise<{ readonly first: number; readonly size: number; readonly tag: string; readonly response: Response }> {
  const response = await (offset === 0 ? send(url, {}, { signal }) : request(url, offset, undefined, { signal }));
  const { status, headers } = response;
  if (status !== 200 && status !== 206) {
    await response.body?.cancel();
    throw refused(url, response);
  }
  const total =
    status === 206 ? /\/(\d+)$/.exec(headers.get("Content-Range") ?? "")?.[1] : headers.get("Content-Length");
  const size = Number(total ?? (await sizeByHead(url, { signal })));
  return { first: status === 206 ? offset : 0, size, tag: versionOf(response), response };
}

/** Pieces of a body as they arrive. */
export async function* chunks(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body!.getReader(); // neither HEAD nor 204
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** An error after which something had arrived, so that trying again may go on forever. */
class Progressed {
  readonly cause: unknown;
  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/**
 * Runs `attempt`, again after broken connections, until it has failed four times without anything having arrived.
 *
 * @throws {CheckpointError}
 */
async function resuming(url: string, signal: AbortSignal | undefined, attempt: () => Promise<void>): Promise<void> {
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      const cause = error instanceof Progressed ? error.cause : error;
      if (cause instanceof PolyllamaError && !(cause instanceof Unreachable)) throw cause;
      failures = error instanceof Progressed ? 0 : failures + 1;
      if (failures === mostTries) throw cause instanceof Unreachable ? cause : unreachable(url, cause);
      await pause(failures * pauseMilliseconds, signal);
    }
  }
}

/** Waits, but no longer than until the signal is aborted. @throws The signal's reason. */
async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  let wake: () => void = () => undefined;
  await new Promise<void>((resolve) => {
    wake = resolve;
    setTimeout(wake, milliseconds);
    signal?.addEventListener("abort", wake, { once: true });
  });
  signal?.removeEventListener("abort", wake);
  signal?.throwIfAborted();
}

function request(url: string, offset: number, length: number | undefined, sending: Sending): Promise<Response> {
  const last = length === undefined ? "" : offset + length - 1;
  return send(url, { headers: { Range: `bytes=${offset}-${last}` } }, sending);
}

/** @throws {CheckpointError} for no answer, and for any but those that mean something here. */
export async function send(
  url: string,
  options: RequestInit,
  { fetch = globalThis.fetch, signal }: Sending,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...options, ...(signal && { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw unreachable(url, cause);
  }
  if ([200, 206, 404, 416].includes(response.status)) return response;
  await response.body?.cancel();
  throw refused(url, response);
}

/** @throws {CheckpointError} where the server does not say it, or not to this origin. */
async function sizeByHead(url: string, sending: Sending): Promise<number> {
  const length = (await send(url, { method: "HEAD" }, sending)).headers.get("Content-Length");
  if (length !== null) return Number(length);
  throw new CheckpointError(
    { file: url },
    "the server does not say how long it is",
    "Have it send Content-Length, and to other origins Access-Control-Expose-Headers: Content-Range, ETag.",
  );
}

/**
 * The ETag; a weak one, which need not mean the same bytes, with Last-Modified; empty where the server sends neither.
 */
function versionOf({ headers }: Response): string {
  const tag = headers.get("ETag") ?? "";
  if (tag !== "" && !tag.startsWith("W/")) return tag;
  return `${tag} ${headers.get("Last-Modified") ?? ""}`.trim();
}

function emptySource(url: string): ByteSource {
  return {
    name: url,
    size: 0,
    version: "",
    async read(offset, length) {
      checkRange(url, 0, offset, length);
      return new Uint8Array(0);
    },
    async close() {},
  };
}

/** A server that sends whole files alone. */
export class WithoutRanges extends CheckpointError {}

/** No answer: worth another try. */
class Unreachable extends CheckpointError {}

function unreachable(url: string, cause: unknown): Unreachable {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause; // Node hides it there
  const reason = inner instanceof Error ? inner.message : String(inner);
  return new Unreachable(
    { file: url },
    `the server gave no answer (${reason})`,
    "Check the address and the connection; a server of another origin must allow this page (CORS).",
    { cause },
  );
}

function refused(url: string, { status, statusText }: Response): CheckpointError {
  const place = { file: url };
  const problem = `the server answered ${status} ${statusText}`.trimEnd();
  if (status >= 500 || status === 429) return new Unreachable(place, problem, "Try again later.");
  return new CheckpointError(place, problem, "Check the address, and whether it needs a login.");
}

function changed(url: string): CheckpointError {
  return new CheckpointError({ file: url }, "the file on the server changed meanwhile", "Load it again.");
}
