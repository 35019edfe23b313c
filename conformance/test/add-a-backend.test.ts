// The backend of docs/add-a-backend.md and its tests, taken from the page, so that the page stays true.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { full } from "@polyllama/test-support/full";
import { afterAll, expect, test, vi } from "vitest";
import { isLarge, isSample } from "../environments/selections.ts";
import type * as suites from "../src/vitest.ts";

const page = readFileSync(new URL("../../docs/add-a-backend.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/^```\w+ ?(?:file=(\S+))?\n([\s\S]*?)^```$/gm)];

test("the page's code has 200 lines at most", () => {
  const lines = blocks.reduce((sum, [, , code = ""]) => sum + code.split("\n").length - 1, 0);
  expect(lines).toBeGreaterThan(0);
  expect(lines).toBeLessThanOrEqual(200);
});

const folder = fileURLToPath(new URL(`./toy-${process.pid}.tmp/`, import.meta.url));
mkdirSync(folder);
for (const [, file, code = ""] of blocks) if (file !== undefined) writeFileSync(`${folder}${file}`, code);
afterAll(() => rmSync(folder, { recursive: true }));

test("the page's code compiles", { timeout: 180_000 }, () => {
  const config = {
    extends: "../../../tsconfig.base.json",
    compilerOptions: { noEmit: true, types: ["node"] },
    include: ["*.ts"],
  };
  writeFileSync(`${folder}tsconfig.json`, JSON.stringify(config));
  const compiler = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
  expect([stdout, status]).toEqual(["", 0]);
});

/** What loops in JavaScript take long for is left to `npm test -- --full`. */
function isShort(address: string): boolean {
  return address.startsWith("op:") ? isSample(address) : !(isLarge(address) || address.startsWith("model:layer"));
}

if (!full) {
  vi.doMock("@polyllama/conformance/vitest", async (original) => {
    const all = await original<typeof suites>();
    const conformance: typeof suites.conformance = (create, options) =>
      all.conformance(create, { ...options, filter: isShort });
    const llama: typeof suites.llama = (create, options) =>
      all.llama(create, { ...options, filter: (name) => !/32,000|chunks of 512/.test(name) });
    return { ...all, conformance, llama };
  });
}
await import(`${folder}toy.test.ts`);
