// The backend of docs/add-a-backend.md, taken from the page and held to the suite, so that the page stays true.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Backend } from "@polyllama/core";
import { full } from "@polyllama/test-support/full";
import { afterAll } from "vitest";
import { isLarge, isSample } from "../environments/selections.ts";
import { conformance, llama } from "../src/vitest.ts";

const page = readFileSync(new URL("../../docs/add-a-backend.md", import.meta.url), "utf8");
const [, code] = /```ts file=toy\.ts\n([\s\S]*?)```/.exec(page) ?? [];
if (code === undefined) throw new Error("docs/add-a-backend.md has no block toy.ts");
const folder = fileURLToPath(new URL(`./toy-${process.pid}.tmp/`, import.meta.url));
mkdirSync(folder);
writeFileSync(`${folder}toy.ts`, code);
const { toy }: { toy(): Backend } = await import(`${folder}toy.ts`);
afterAll(() => rmSync(folder, { recursive: true }));

/** What loops in JavaScript take long for is left to `npm test -- --full`. */
function isShort(address: string): boolean {
  return address.startsWith("op:") ? isSample(address) : !(isLarge(address) || address.startsWith("model:layer"));
}

conformance(() => toy(), {
  expectations: { unsupported: { "op:attention:*;cache=*": "caches are in f32" } },
  filter: (address) => full || isShort(address),
});
llama(() => toy(), { filter: (name) => !/32,000|chunks of 512/.test(name) }); // which take loops in JavaScript long
