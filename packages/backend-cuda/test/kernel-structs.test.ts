// The assertions that stand beside the kernels are those of the structs that launches write, and each kernel file
// includes its own.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { kernelFolder } from "../scripts/kernel-list.ts";
import { assertFolder, assertHeaders } from "../scripts/kernel-structs.ts";

const headers = assertHeaders();

test("the headers are those of the declared structs", () => {
  const written = new Map(
    readdirSync(assertFolder).map((name) => [name, readFileSync(join(assertFolder, name), "utf8")]),
  );
  expect(written).toEqual(headers); // if not: npm run build:kernels
});

test("every struct of a kernel's parameters is asserted behind its declaration", () => {
  const included = new Set<string>();
  for (const name of readdirSync(kernelFolder).filter((file) => /\.cuh?$/.test(file))) {
    const text = readFileSync(join(kernelFolder, name), "utf8");
    const declared = [...text.matchAll(/^struct (\w*Parameters|Row|Draw) \{/gm)].map(([, struct]) => struct!);
    const asserted: string[] = [];
    for (const [, header] of text.matchAll(/^\};\n#include "asserts\/(\w+\.cuh)"$/gm)) {
      included.add(header!);
      for (const [, struct] of headers.get(header!)!.matchAll(/sizeof\((\w+)\)/g)) asserted.push(struct!);
    }
    expect(asserted, name).toEqual(declared);
  }
  expect(included).toEqual(new Set(headers.keys()));
});
