// What a page imports reaches nothing of Node: esbuild follows every import of each entry, under the condition "browser", and
// lists what stays outside the bundle.

import { isBuiltin } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";

const entries = [
  "polyllama",
  "polyllama/worker",
  "@polyllama/backend-reference",
  "@polyllama/backend-webgpu",
  "@polyllama/checkpoints",
  "@polyllama/conformance",
  "@polyllama/core",
  "@polyllama/model-poet",
];

/** Imports of Node's modules, as `importer: specifier`. */
async function nodeImports(entry: string): Promise<readonly string[]> {
  const found: string[] = [];
  await build({
    stdin: {
      contents: `import * as all from ${JSON.stringify(entry)}; console.log(all);`,
      resolveDir: import.meta.dirname,
    },
    absWorkingDir: fileURLToPath(new URL("..", import.meta.url)),
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["@polyllama/source"],
    plugins: [
      {
        name: "list-node",
        setup({ onResolve }) {
          onResolve({ filter: /.*/ }, ({ path, importer }) => {
            if (!isBuiltin(path)) return undefined;
            found.push(`${importer}: ${path}`);
            return { path, external: true };
          });
        },
      },
    ],
  });
  return found;
}

test.each(entries)("%s needs nothing of Node in a page", async (entry) => {
  expect(await nodeImports(entry)).toEqual([]);
});
