// The runtimes of docs/support.md: each runs the same program on the packages as they are published, and writes what
// the others write. Those that are not installed come with `npm run setup:system -- --full`.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { poet } from "@polyllama/model-poet";
import { describeWithSystem } from "@polyllama/test-support/system";
import { Llama } from "polyllama";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeProject, runStory, runtimes, type Story } from "./runtimes/runtimes.ts";

let folder: string;
let expected: Story;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "polyllama-runtimes-"));
  makeProject(folder);
  const own = { name: "Node", executable: process.execPath, version: process.versions.node, flags: [] };
  expected = await runStory(own, folder);
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the program writes what the sources write", async () => {
  await using backend = reference();
  await using llama = await Llama.load(poet, { backend });
  const { ids } = await llama.complete("春夜\n李白\n", { temperature: 0, maxTokens: 8, ignoreEos: true });
  expect(expected).toMatchObject({ cpu: ids, onnxruntime: ids, reference: ids, worker: ids });
  expect(expected.safetensors).toHaveLength(8);
});

const text = readFileSync(new URL("../docs/support.md", import.meta.url), "utf8");

describeWithSystem(["node22", "node24", "bun", "deno"], "every runtime writes the same", () => {
  test.each(runtimes.filter(({ executable }) => executable !== undefined))(
    "$name $version, and docs/support.md says so",
    async (runtime) => {
      expect(await runStory(runtime, folder)).toEqual(expected);
      const version = runtime.executable === process.execPath ? "[\\d.]+" : runtime.version?.replaceAll(".", "\\.");
      expect(text).toMatch(new RegExp(`^\\| ${runtime.name} \\| ${version} (\\| yes ){6}\\|$`, "m"));
    },
    240_000,
  );
});
