// Pulling from an imitation of the hub that breaks connections, serves wrong bytes, limits rates and asks for tokens.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Progress } from "@polyllama/core";
import { poet as poetFolder } from "@polyllama/model-poet";
import { commit, type HubServer, repository, serveHub } from "@polyllama/test-support/hub-server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listHub, openCheckpoint, type PullOptions, pull } from "../src/index.ts";

/** Bytes that repeat nowhere, so that a piece in the wrong place changes the hash. */
const weights: Uint8Array = Uint8Array.from({ length: 400_000 }, (_, i) => (i * 2_654_435_761) >>> 13);
const text = (content: string): Uint8Array => new TextEncoder().encode(content);

let scratch: string;
let cacheFolder: string;
let hub: HubServer;
let notes: string[];
let options: PullOptions;

beforeEach(async () => {
  vi.stubEnv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"); // whoever runs the tests may be logged in
  scratch = await mkdtemp(join(tmpdir(), "polyllama-hub-"));
  cacheFolder = join(scratch, "hub");
  hub = await serveHub({ "README.md": text("# tiny"), "tiny.Q4_0.gguf": weights });
  notes = [];
  options = optionsFor(hub);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(scratch, { recursive: true, force: true });
});

function optionsFor({ endpoint }: HubServer): PullOptions {
  return { endpoint, cacheFolder, retryDelay: 1, onNote: (note) => notes.push(note) };
}

const storage = () => join(cacheFolder, "models--owner--poet");
const blobs = () => readdir(join(storage(), "blobs"));
const blobSizes = async () =>
  Promise.all((await blobs()).map(async (name) => (await lstat(join(storage(), "blobs", name))).size));
const ranges = () => hub.asked.filter(({ host }) => host === "storage").map(({ range }) => range);

describe("a pull", () => {
  test("lays a checkpoint out as the hub's libraries do, fetches what is needed, and nothing twice", async () => {
    const names = ["config.json", "model.safetensors", "tokenizer.model"];
    const poet = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(poetFolder, name))] as const)),
    );
    await using hub = await serveHub({ "README.md": text("# poet"), ...poet, "poet.onnx": weights });
    const steps: Progress[] = [];
    const open = () =>
      openCheckpoint("hf:owner/poet", { hub: optionsFor(hub), onProgress: (progress) => steps.push(progress) });
    await using checkpoint = await open();
    expect(checkpoint.config).toMatchObject({ dim: 256, layers: 6 });
    expect(checkpoint.tokenizer?.vocabSize).toBe(6144);

    const snapshot = join(storage(), "snapshots", commit);
    expect((await readdir(snapshot)).sort()).toEqual(names);
    for (const name of names) {
      expect(await readlink(join(snapshot, name))).toMatch(/^\.\.\/\.\.\/blobs\/([0-9a-f]{40}|[0-9a-f]{64})$/);
      expect(Buffer.compare(await readFile(join(snapshot, name)), poet[name]!)).toBe(0);
    }
    expect(await readFile(join(storage(), "refs", "main"), "utf8")).toBe(commit);
    expect((await blobs()).filter((name) => !/^[0-9a-f]+$/.test(name))).toEqual([]);
    const total = names.reduce((sum, name) => sum + poet[name]!.length, 0);
    const fetching = steps.filter(({ phase }) => phase === "fetching owner/poet");
    expect(fetching.at(-1)).toMatchObject({ done: total, total });
    expect(fetching.every(({ done }, i) => i === 0 || done >= fetching[i - 1]!.done)).toBe(true);

    const before = hub.fetched();
    expect([...before].sort()).toEqual(names);
    await using again = await open();
    expect(again.config).toEqual(checkpoint.config);
    expect(hub.fetched()).toEqual(before);
  });

  test("continues where the connection broke, and fetches no byte twice", async () => {
    hub.fault = ({ host }) => (host === "storage" && ranges().length <= 3 ? { breakAfter: 100_000 } : undefined);
    const { path } = await pull(repository, options);
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
    const starts = ranges().map((range) => Number(/\d+/.exec(range ?? "0")?.[0]));
    expect(starts.length).toBe(4);
    expect(starts.every((start, i) => i === 0 || (start > starts[i - 1]! && start <= 100_000 * i))).toBe(true);
  });

  test("starts over where the server ignores ranges", async () => {
    hub.fault = ({ host, range }) => {
      if (host === "hub") return undefined;
      return range === undefined ? { breakAfter: 100_000 } : { ignoreRange: true };
    };
    const { path } = await pull(repository, options);
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
    expect(ranges().length).toBe(2);
  });

  test("takes no other part of the file than it asked for", async () => {
    hub.fault = ({ host, range }) => {
      if (host === "hub") return undefined;
      if (range === undefined) return { breakAfter: 100_000 };
      return ranges().length === 2 ? { from: 1 } : undefined;
    };
    const { path } = await pull(repository, options);
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
    const [whole, first, again, ...more] = ranges();
    expect([whole, more]).toEqual([undefined, []]);
    expect(first).toMatch(/^bytes=[1-9]\d+-$/);
    expect(again).toBe(first);
  });

  test("gives up where a connection breaks at the same place again and again, and keeps what came", async () => {
    hub.fault = ({ host, range }) =>
      host === "storage" ? { breakAfter: range === undefined ? 100_000 : 0 } : undefined;
    await expect(pull(repository, options)).rejects.toThrow(/cannot be used now/);
    expect(ranges().length).toBeLessThan(10);
    hub.fault = () => undefined;
    await pull(repository, options);
    expect(ranges().at(-1)).toMatch(/^bytes=[1-9]/);
    expect(notes.join("\n")).toMatch(/Continuing after 0\.\d MiB/);
  });

  test("takes a silent connection for a broken one", async () => {
    hub.fault = ({ host }) => (host === "storage" && ranges().length === 1 ? { stallAfter: 50_000 } : undefined);
    const { path } = await pull(repository, { ...options, timeout: 300 });
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
    expect(ranges()).toEqual([undefined, "bytes=50000-"]);
  });

  test("that is aborted rejects with the reason and leaves a partial file that the next one continues", async () => {
    hub.fault = ({ host, range }) => (host === "storage" && range === undefined ? { stallAfter: 150_000 } : undefined);
    const controller = new AbortController();
    const reason = new Error("enough");
    const pulling = pull(repository, {
      ...options,
      signal: controller.signal,
      onProgress: ({ done }) => done >= 150_000 && controller.abort(reason),
    });
    await expect(pulling).rejects.toBe(reason);
    expect(await blobs()).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.polyllama\.incomplete$/)]);
    const { path } = await pull(repository, options);
    expect(ranges().at(-1)).toBe("bytes=150000-");
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
  });

  test("fetches damaged content once more, and refuses and removes it the second time", async () => {
    hub.fault = ({ host }) => (host === "storage" ? { corrupt: ranges().length === 1 } : undefined);
    const { path } = await pull(repository, options);
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
    expect(notes).toContain("tiny.Q4_0.gguf arrived damaged; fetching it again.");

    await rm(cacheFolder, { recursive: true });
    hub.fault = ({ host }) => (host === "storage" ? { corrupt: true } : undefined);
    await expect(pull(repository, options)).rejects.toThrow(/tiny\.Q4_0\.gguf .* arrived twice with other content/);
    expect(await blobs()).toEqual([]);
    expect(existsSync(join(storage(), "snapshots"))).toBe(false);
  });

  test("finds damage in what an earlier pull left", async () => {
    hub.fault = ({ host }) => (host === "storage" ? { status: 404 } : undefined);
    await expect(pull(repository, options)).rejects.toMatchObject({ code: "ERR_HUB" });
    const [partial] = await blobs();
    await writeFile(join(storage(), "blobs", partial!), new Uint8Array(1000));
    hub.fault = () => undefined;
    const { path } = await pull(repository, options);
    expect(ranges().slice(-2)).toEqual(["bytes=1000-", undefined]);
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
  });

  test("is repeated where the server is busy or down", async () => {
    let refusals = 0;
    hub.fault = () => {
      const status = [429, 503, 500, 429][refusals++];
      return status === undefined ? undefined : { status, headers: { "Retry-After": "0" } };
    };
    await pull(repository, options);
    expect(refusals).toBeGreaterThan(4);
  });

  test.each([{ "Retry-After": "120" }, { RateLimit: '"resolvers";r=0;t=120' }])(
    "waits as long as the server asks: %o",
    async (headers) => {
      const controller = new AbortController();
      const reason = new Error("it waits");
      const onNote = (note: string): void => {
        notes.push(note);
        controller.abort(reason);
      };
      hub.fault = () => ({ status: 429, headers });
      await expect(pull(repository, { ...options, onNote, signal: controller.signal })).rejects.toBe(reason);
      expect(notes).toEqual(["it answered 429 (too many requests); trying again in 120 s."]);
    },
  );

  test("does not wait longer than is reasonable", async () => {
    hub.fault = () => ({ status: 429, headers: { "Retry-After": new Date(Date.now() + 3_600_000).toUTCString() } });
    await expect(pull(repository, options)).rejects.toThrow(/It asks to be left alone for 3\d\d\d s/);
    expect(hub.asked.length).toBe(1);
  });

  test("does not take the login page of a network for a listing", async () => {
    hub.fault = () => ({ status: 200, body: "<html>Log in to the network</html>" });
    await expect(pull(repository, options)).rejects.toThrow(/something else than JSON, such as the login page/);
  });

  test("says before the first byte that the disk has no room", async () => {
    hub.fault = ({ path }) => {
      const listed = [{ type: "file", path: "huge.Q4_0.gguf", size: 2 ** 50, oid: "0".repeat(40) }];
      return path.includes("/tree/") ? { status: 200, body: JSON.stringify(listed) } : undefined;
    };
    const pulling = pull(repository, { ...options, memory: 2 ** 60 });
    await expect(pulling).rejects.toThrow(/1048576\.0 GiB are needed and .* are free in/);
    expect(hub.fetched()).toEqual([]);
  });

  test.skipIf(process.platform !== "linux")("explains a disk that fills up on the way", async () => {
    hub.fault = ({ host }) => (host === "storage" ? { status: 404 } : undefined);
    await expect(pull(repository, options)).rejects.toMatchObject({ code: "ERR_HUB" });
    const partial = join(storage(), "blobs", (await blobs())[0]!);
    await rm(partial);
    await symlink("/dev/full", partial);
    hub.fault = () => undefined;
    await expect(pull(repository, options)).rejects.toThrow(/The disk is full: tiny\.Q4_0\.gguf .*--hub-cache/);
  });

  test("refuses listings with paths that leave the folder or without hashes", async () => {
    for (const entry of [
      { path: "../../evil.gguf", oid: "0".repeat(40) },
      { path: "C:\\evil.gguf", oid: "0".repeat(40) },
      { path: "good.gguf", oid: "../../evil" },
    ]) {
      hub.fault = ({ path }) =>
        path.includes("/tree/")
          ? { status: 200, body: JSON.stringify([{ type: "file", size: 1, ...entry }]) }
          : undefined;
      await expect(pull(repository, options)).rejects.toThrow(/which no hub does/);
    }
    expect(existsSync(cacheFolder)).toBe(false);
  });
});

describe("access", () => {
  const gated = { "X-Error-Code": "GatedRepo" };

  test("a gated repository without a token: says what to accept where, and how to pass a token", async () => {
    hub.fault = ({ path }) => (path.includes("/resolve/") ? { status: 401, headers: gated } : undefined);
    const pulling = pull(repository, options);
    await expect(pulling).rejects.toThrow(`accept them at ${hub.endpoint}/owner/poet`);
    await expect(pulling).rejects.toThrow(/settings\/tokens .*option `token` \(on the command line --token/);
  });

  test("a token without access, and one that is none", async () => {
    const token = "hf_mine";
    hub.fault = ({ path }) => (path.includes("/resolve/") ? { status: 403, headers: gated } : undefined);
    await expect(pull(repository, { ...options, token })).rejects.toThrow(/has no access to it yet/);
    hub.fault = () => ({ status: 401, body: '{"error":"Invalid credentials in Authorization header"}' });
    await expect(pull(repository, { ...options, token })).rejects.toThrow(/does not accept this token \(401\)/);
    await expect(pull(repository, { ...options, token: "hf_a\nb" })).rejects.toMatchObject({ code: "ERR_OPTION" });
  });

  test("the token goes to the hub and to nobody else", async () => {
    const denied = { status: 401, headers: gated };
    hub.fault = ({ host, authorization }) => (host === "hub" && authorization !== "Bearer secret" ? denied : undefined);
    await pull(repository, { ...options, token: "secret" });
    const sent = (host: string) =>
      new Set(hub.asked.filter((each) => each.host === host).map((each) => each.authorization));
    expect(sent("hub")).toEqual(new Set(["Bearer secret"]));
    expect(sent("storage")).toEqual(new Set([undefined]));
  });

  test("what does not exist is named", async () => {
    await expect(pull("owner/other", options)).rejects.toThrow(/There is no owner\/other at .* or it is private/);
    await expect(pull("owner/other", { ...options, token: "hf_x" })).rejects.toThrow(/There is no owner\/other at/);
    await expect(pull(`${repository}@v2`, options)).rejects.toThrow('owner/poet has no revision "v2"');
    await expect(pull(`${repository}:Q8_0`, options)).rejects.toThrow(
      'owner/poet has no ":Q8_0". There is: tiny.Q4_0.gguf (0.4 MiB).',
    );
  });
});

describe("without the hub", () => {
  test("what is in the cache is used, and a note says so", async () => {
    const { path } = await pull(repository, options);
    await hub.close();
    notes.length = 0;
    expect((await pull(repository, options)).path).toBe(path);
    expect(notes[0]).toMatch(
      /cannot be used now: .*ECONNREFUSED.*\. Using what the cache has of owner\/poet: commit 01234567/,
    );
    expect((await pull(`${repository}:Q4_0@${commit}`, options)).path).toBe(path);
  });

  test("the option `offline` asks nobody", async () => {
    await expect(pull(repository, { ...options, offline: true })).rejects.toThrow(
      /is not in the cache .*without the option/,
    );
    await pull(repository, options);
    const asked = hub.asked.length;
    const { checkpoint } = await pull(repository, { ...options, offline: true });
    expect(checkpoint.name).toBe("tiny.Q4_0.gguf");
    expect(hub.asked.length).toBe(asked);
  });

  test("what is not in the cache is an error that says why the hub was not reached", async () => {
    await hub.close();
    await expect(pull(repository, options)).rejects.toThrow(/is not in the cache .*ECONNREFUSED/);
  });

  test("half a checkpoint is not taken for a whole one", async () => {
    const files = { "a-00001-of-00002.gguf": text("1"), "a-00002-of-00002.gguf": text("2") };
    await using hub = await serveHub(files);
    hub.fault = ({ path }) => (path.endsWith("a-00002-of-00002.gguf") ? { status: 403 } : undefined);
    await expect(pull(repository, optionsFor(hub))).rejects.toThrow(/refused the request/);
    await mkdir(join(storage(), "refs"));
    await writeFile(join(storage(), "refs", "main"), commit);
    const offline = { ...optionsFor(hub), offline: true };
    await expect(pull(repository, offline)).rejects.toThrow(/owner\/poet in the cache holds nothing to choose/);
    hub.fault = () => undefined;
    await pull(repository, optionsFor(hub));
    expect((await pull(repository, offline)).checkpoint.files.length).toBe(2);
  });
});

test("the listing says which checkpoints fit and which are in the cache", async () => {
  await using hub = await serveHub({ "a.Q4_0.gguf": weights, "a.F16.gguf": new Uint8Array(800_000) });
  const listing = () => listHub(repository, { ...optionsFor(hub), memory: 2 ** 29 + 1_000_000 });
  const facts = async () => (await listing()).checkpoints.map(({ name, fits, cached }) => ({ name, fits, cached }));
  const other = { name: "a.F16.gguf", fits: false, cached: false };
  expect(await facts()).toEqual([{ name: "a.Q4_0.gguf", fits: true, cached: false }, other]);
  await pull(`${repository}:q4_0`, optionsFor(hub));
  expect(await facts()).toEqual([{ name: "a.Q4_0.gguf", fits: true, cached: true }, other]);
});

describe("several at once", () => {
  const child = (): ReturnType<typeof spawn> => {
    const source = new URL("../src/hub/pull.ts", import.meta.url).href;
    const program = `import { pull } from ${JSON.stringify(source)};
      console.log(JSON.stringify(await pull("owner/poet", ${JSON.stringify({ endpoint: hub.endpoint, cacheFolder })})));`;
    const loader = ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx"), "--input-type=module"];
    return spawn(process.execPath, [...loader, "-e", program], { stdio: "ignore", timeout: 110_000 });
  };

  test("one fetches, the others wait and find it there", async () => {
    const pulls = [pull(repository, options), pull(repository, options), pull(repository, options)];
    const paths = (await Promise.all(pulls)).map(({ path }) => path);
    expect(new Set(paths).size).toBe(1);
    expect(hub.fetched()).toEqual(["tiny.Q4_0.gguf"]);
    expect(notes.filter((note) => note.includes("Another process is fetching")).length).toBe(2);
    expect(await readdir(join(cacheFolder, ".locks", "models--owner--poet"))).toEqual([]);
    expect((await lstat(paths[0]!)).isSymbolicLink()).toBe(true);
  });

  test("a process that was killed is not waited for, and what it fetched is continued", async () => {
    hub.fault = ({ host, range }) => (host === "hub" || range !== undefined ? undefined : { stallAfter: 120_000 });
    const killed = child();
    await vi.waitFor(async () => expect(await blobSizes()).toEqual([120_000]), { timeout: 100_000 });
    killed.kill("SIGKILL");
    await once(killed, "close");
    expect((await readdir(join(cacheFolder, ".locks", "models--owner--poet"))).length).toBe(1);
    const { path } = await pull(repository, options);
    expect(ranges()).toEqual([undefined, "bytes=120000-"]);
    expect(Buffer.compare(await readFile(path), weights)).toBe(0);
  });
});
