// The cache where the system allows no symbolic links, as Windows by default.

import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commit, repository, serveHub } from "@polyllama/test-support/hub-server";
import { expect, test, vi } from "vitest";
import { pull } from "../src/index.ts";

const allowed = vi.hoisted(() => ({ hardLinks: true }));

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof import("node:fs/promises")>();
  const refuse = () => Promise.reject(Object.assign(new Error("operation not permitted"), { code: "EPERM" }));
  return {
    ...real,
    symlink: refuse,
    link: (from: string, to: string) => (allowed.hardLinks ? real.link(from, to) : refuse()),
  };
});

test.each([true, false])("hard links take their place, else copies (hard links: %s)", async (hardLinks) => {
  allowed.hardLinks = hardLinks;
  const content = Uint8Array.from({ length: 20_000 }, (_, i) => i % 251);
  const scratch = await mkdtemp(join(tmpdir(), "polyllama-links-"));
  try {
    await using hub = await serveHub({ "a.Q4_0.gguf": content });
    const options = { endpoint: hub.endpoint, cacheFolder: scratch };
    const { path } = await pull(repository, options);
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
    expect((await stat(path)).nlink).toBe(hardLinks ? 2 : 1);
    expect(await readdir(join(scratch, "models--owner--poet", "snapshots", commit))).toEqual(["a.Q4_0.gguf"]);
    const asked = hub.fetched().length;
    expect((await pull(repository, options)).path).toBe(path);
    expect(hub.fetched().length).toBe(asked);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});
