// `polyllama pull`, and hf: addresses as models, against the imitation of the hub.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poet } from "@polyllama/model-poet";
import { type HubServer, serveHub } from "@polyllama/test-support/hub-server";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { run, runHere } from "./captured.ts";
import { start } from "./program.ts";

// Its answers take a process of their own, and are not what is tested here.
vi.mock("../src/webgpu/probe.ts", () => ({ probe: async () => ({ reason: "not asked" }) }));

let scratch: string;
let hub: HubServer;
const variables = ["HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"];

beforeAll(async () => {
  const names = ["config.json", "model.safetensors", "tokenizer.model"];
  const files = await Promise.all(names.map(async (name) => [name, await readFile(join(poet, name))] as const));
  hub = await serveHub({ ...Object.fromEntries(files), "poet.Q2_K.gguf": new Uint8Array(100_000) });
});

afterAll(() => hub.close());

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "polyllama-pull-"));
  hub.fault = () => undefined;
  hub.asked.length = 0;
  for (const name of variables) vi.stubEnv(name, "");
  vi.stubEnv("HF_HOME", scratch);
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  return async () => {
    vi.unstubAllEnvs();
    await rm(scratch, { recursive: true, force: true });
  };
});

describe("pull", () => {
  test("prints the path alone on standard output, and why this checkpoint on standard error", async () => {
    const { code, stdout, stderr } = await run(["pull", "owner/poet"]);
    expect(stdout).toBe(`${join(scratch, "hub", "models--owner--poet", "snapshots", hub.commit)}\n`);
    expect(stderr).toMatch(
      /^model\.safetensors \(11\.2 MiB\): takes about 534\.5 MiB of .* memory\. 1 more to choose from/,
    );
    expect(code).toBe(0);
    expect(hub.fetched()).not.toContain("poet.Q2_K.gguf");
  });

  test("--list shows what there is, and fetches nothing", async () => {
    const { code, stdout } = await runHere("pull", "owner/poet", "--list");
    expect(stdout).toMatch(/^owner\/poet, commit 01234567\n/);
    expect(stdout).toMatch(/:model\.safetensors +safetensors +11\.2 MiB +534 MiB +yes/);
    expect(stdout).toMatch(/:poet\.Q2_K\.gguf +Q2_K +97\.7 KiB/);
    expect([code, hub.fetched()]).toEqual([0, []]);
  });

  test("Ctrl-C leaves a part that the same command continues", async () => {
    hub.fault = ({ host, range }) => (host === "storage" && range === undefined ? { stallAfter: 50_000 } : undefined);
    const args = ["pull", "owner/poet:Q2_K"];
    const { child, finished, until } = start(args);
    await until("stderr", /poet\.Q2_K\.gguf: 97\.7 KiB|fetching owner\/poet/);
    child.kill("SIGINT");
    const { code, stdout, stderr } = await finished;
    expect([code, stdout]).toEqual([130, ""]);
    expect(stderr).toMatch(/the same command continues there/);
    const again = await runHere(...args);
    expect(again.code).toBe(0);
    expect(again.stderr).toMatch(/Continuing after/);
    expect(hub.asked.at(-1)?.range).toBe("bytes=50000-");
  });

  test("takes the token from --token, else HF_TOKEN, else the token file, and the cache from HF_HUB_CACHE", async () => {
    const sent = async (...args: string[]) => {
      const { code } = await runHere("pull", "owner/poet:Q2_K", ...args);
      expect(code).toBe(0);
      return hub.asked.at(-1)?.authorization ?? hub.asked.at(-2)?.authorization;
    };
    await writeFile(join(scratch, "token"), "hf_file\n");
    expect(await sent("--hub-cache", join(scratch, "a"))).toBe("Bearer hf_file");
    vi.stubEnv("HF_TOKEN", "hf_variable");
    expect(await sent("--hub-cache", join(scratch, "b"))).toBe("Bearer hf_variable");
    expect(await sent("--hub-cache", join(scratch, "c"), "--token", "hf_option")).toBe("Bearer hf_option");
    vi.stubEnv("HF_HUB_CACHE", join(scratch, "d"));
    const { stdout } = await runHere("pull", "owner/poet:Q2_K");
    expect(stdout.startsWith(join(scratch, "d"))).toBe(true);
  });

  test("failures end with 1, wrong usage with 2", async () => {
    expect(await runHere("pull", "owner/other")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/error: There is no owner\/other/),
    });
    expect(await runHere("pull", "nonsense")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is no address on the hub/),
    });
    expect(await runHere("pull", "a/b@c", "--revision", "d")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/give the revision once/),
    });
  });
});

describe("an hf: address as a model", () => {
  test("inspect, generate and parity take it", async () => {
    const inspected = await runHere("inspect", "hf:owner/poet", "--json");
    expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: "safetensors", config: { dim: 256 } });
    const offline = ["--model", "hf:owner/poet", "--offline"];
    const asked = hub.asked.length;
    const generated = await runHere("generate", "-p", "x", "-n", "2", "--backend", "reference", "--json", ...offline);
    expect(JSON.parse(generated.stdout).ids.length).toBe(2);
    expect(hub.asked.length).toBe(asked);
    const compared = await runHere("parity", "--tokens", "2", "--backends", "cpu", ...offline);
    expect(compared.stdout).toMatch(/cpu agrees with reference/);
  });

  test("options of the hub are refused for other models", async () => {
    const { code, stderr } = await runHere("inspect", poet, "--token", "hf_x");
    expect([code, stderr]).toEqual([2, "error: --token belongs to models on the hub (hf:owner/name)\n"]);
  });
});
