// The hub's environment variables, as its own programs have them.

import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type HubServer, serveHub } from "@polyllama/test-support/hub-server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pull } from "../src/index.ts";
import { failure, folderWith } from "./support.ts";

const variables = [
  ...["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "XDG_CACHE_HOME"],
  ...["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_DISABLE_IMPLICIT_TOKEN"],
] as const;
let hub: HubServer;
let home: string;

beforeEach(async () => {
  hub = await serveHub({ "m.Q4_0.gguf": new Uint8Array(20_000) });
  home = await folderWith();
  for (const name of variables) vi.stubEnv(name, "");
  vi.stubEnv("HOME", home);
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
});

const folders: Readonly<Record<string, (home: string) => readonly [Readonly<Record<string, string>>, string]>> = {
  "HF_HUB_CACHE, before all others": (home) => [
    { HF_HUB_CACHE: join(home, "a"), HUGGINGFACE_HUB_CACHE: join(home, "b"), HF_HOME: join(home, "c") },
    "a",
  ],
  "its older name": (home) => [{ HUGGINGFACE_HUB_CACHE: join(home, "b"), HF_HOME: join(home, "c") }, "b"],
  HF_HOME: (home) => [{ HF_HOME: join(home, "c"), XDG_CACHE_HOME: join(home, "d") }, "c/hub"],
  XDG_CACHE_HOME: (home) => [{ XDG_CACHE_HOME: join(home, "d") }, "d/huggingface/hub"],
  "the home folder": () => [{}, ".cache/huggingface/hub"],
};
for (const [what, settings] of Object.entries(folders)) {
  test(`the cache lies where ${what} says`, async () => {
    const [values, expected] = settings(home);
    for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value);
    const { path } = await pull("owner/poet");
    expect(path.startsWith(join(home, expected, "models--owner--poet"))).toBe(true);
    expect(await readdir(home)).toEqual([expected.split("/")[0]]);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    hub.asked.length = 0;
    expect((await pull("owner/poet")).path).toBe(path);
    expect(hub.asked).toEqual([]);
  });
}

test("the token is that of the option, of HF_TOKEN, of the login, or none", async () => {
  const sent = async (options = {}) => {
    hub.asked.length = 0;
    await pull("owner/poet", options);
    return new Set(hub.asked.filter(({ host }) => host === "hub").map(({ authorization }) => authorization));
  };
  expect(await sent()).toEqual(new Set([undefined]));
  await mkdir(join(home, ".cache", "huggingface"), { recursive: true });
  await writeFile(join(home, ".cache", "huggingface", "token"), "hf_login\n");
  expect(await sent()).toEqual(new Set(["Bearer hf_login"]));
  await writeFile(join(home, "other"), "hf_other\n");
  vi.stubEnv("HF_TOKEN_PATH", join(home, "other"));
  expect(await sent()).toEqual(new Set(["Bearer hf_other"]));
  vi.stubEnv("HF_TOKEN", "hf_variable");
  expect(await sent()).toEqual(new Set(["Bearer hf_variable"]));
  expect(await sent({ token: "hf_option" })).toEqual(new Set(["Bearer hf_option"]));
  vi.stubEnv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  expect(await sent()).toEqual(new Set([undefined]));
});

test("a cache that cannot be written is named, with the ways out", async () => {
  await writeFile(join(home, "file"), "");
  vi.stubEnv("HF_HOME", join(home, "file"));
  const { code, message } = await failure(pull("owner/poet"));
  expect(code).toBe("ERR_HUB");
  expect(message).toMatch(/file\/hub.* cannot be written to \(ENOTDIR\).*cacheFolder.*--hub-cache.*HF_HUB_CACHE/);
});
