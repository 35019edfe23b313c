// What bundles contain. What a page imports reaches nothing of Node: esbuild follows every import of each entry, under
// the condition "browser", and lists what stays outside. A bundle for Node that should have left a package out says so.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";

const entries = [
  "polyllama",
  "polyllama/worker",
  "@polyllama/backend-cpu",
  "@polyllama/backend-reference",
  "@polyllama/backend-webgpu",
  "@polyllama/checkpoints",
  "@polyllama/conformance",
  "@polyllama/core",
  "@polyllama/formats",
  "@polyllama/model-poet",
  "@polyllama/training",
  "@polyllama/vocabulary",
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

test("a bundle for Node whose quantizing threads have no file names the file and the way out", async () => {
  const folder = mkdtempSync(join(tmpdir(), "polyllama-bundle-"));
  try {
    const outfile = join(folder, "program.mjs");
    const contents = `import { createQuantizerPool } from "@polyllama/checkpoints";
      const pool = createQuantizerPool({ threads: 2 });
      await pool.quantize(new Float32Array(2 ** 19), "q8_0").catch(({ code, message }) => console.log(code, message));`;
    await build({
      stdin: { contents, resolveDir: import.meta.dirname },
      bundle: true,
      platform: "node",
      format: "esm",
      conditions: ["@polyllama/source"],
      outfile,
    });
    const { stdout, stderr } = spawnSync(process.execPath, [outfile], { encoding: "utf8", timeout: 110_000 });
    expect(stdout + stderr).toMatch(
      /^ERR_BACKEND A quantizing thread failed: .*worker\.js.* leave @polyllama\/checkpoints out of it/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("docs/bundlers.md shows what is tested: files and versions", () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
  const text = read("../docs/bundlers.md");
  const { dependencies } = JSON.parse(read("bundlers/package.json")) as { dependencies: Record<string, string> };
  for (const name of ["esbuild", "webpack", "vite", "next"]) {
    expect(text).toMatch(new RegExp(`^\\| ${name}\\b.*\\| ${dependencies[name]?.replaceAll(".", "\\.")} \\|`, "im"));
    expect(text).toContain(read(`bundlers/${name}/${name === "next" ? "app/" : ""}worker.js`));
  }
  const started = /new Worker\(.*\)/.exec(text)?.[0];
  for (const page of ["esbuild/main.js", "webpack/main.js", "vite/main.js", "next/app/page.jsx"])
    expect(read(`bundlers/${page}`)).toContain(started);
});
