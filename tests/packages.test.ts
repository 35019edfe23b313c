// What users get: every package is built and packed, and the tarballs are installed in an empty project, offline, where
// a ten-line program has to compile, with the declarations of all packages checked, and to write text.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { full } from "@polyllama/test-support/full";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "polyllama-packages-"));
const tarballs = join(scratch, "tarballs");

/** Everything that is published. */
const folders = [...readdirSync(join(root, "packages")).map((name) => `packages/${name}`), "conformance"].filter(
  (folder) => JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")).private !== true,
);

const program = `import { cpu } from "@polyllama/backend-cpu";
import { poet } from "@polyllama/model-poet";
import { Llama } from "polyllama";

const llama = await Llama.load(poet, { backend: cpu({ threads: 1 }), quantize: "q8_0" });
for await (const { text } of llama.generate("春夜\\n李白\\n", { maxTokens: 30, seed: 1 })) {
  process.stdout.write(text);
}
await llama.dispose();
`;

/** Compiled beside it, for the declarations of the backend for WebGPU, which name types of TypeScript's DOM. */
const webgpuProgram = `import { type LoweredLimits, type WebGpuDevice, type WebGpuOptions, webgpu } from "@polyllama/backend-webgpu";

const limits: LoweredLimits = { maxBufferSize: 2 ** 28 };
export const open = (device: GPUDevice): Promise<WebGpuDevice> => {
  const options: WebGpuOptions = { device, loweredLimits: limits };
  return webgpu(options);
};
`;

const tsconfig = {
  compilerOptions: {
    module: "NodeNext",
    target: "ES2022",
    lib: ["ES2022", "ESNext.Disposable", "DOM"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
  },
  include: ["main.ts", "webgpu.ts"],
};

interface Result {
  readonly status: number | null;
  readonly output: string;
}

function run(
  command: string,
  rest: readonly string[],
  cwd: string,
  more: Readonly<Record<string, string>> = {},
): Result {
  // What npm hands to its scripts must not reach the npm of an unrelated project.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const { status, stdout, stderr } = spawnSync(command, rest, {
    cwd,
    env: { ...env, ...more },
    encoding: "utf8",
    timeout: 900_000,
  });
  return { status, output: `${stdout}${stderr}` };
}

function must(result: Result): Result {
  if (result.status !== 0) throw new Error(`ended with ${result.status}:\n${result.output}`);
  return result;
}

function createProject(name: string): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  const files = readdirSync(tarballs).map((file) => [nameOf(file), `file:${join(tarballs, file)}`]);
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  const dependencies = { ...Object.fromEntries(files), "@types/node": devDependencies["@types/node"] };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
  writeFileSync(join(folder, "main.ts"), program);
  writeFileSync(join(folder, "webgpu.ts"), webgpuProgram);
  return folder;
}

/** polyllama-core-0.1.0.tgz holds @polyllama/core; the front door has no scope. */
function nameOf(tarball: string): string {
  const name = tarball.replace(/-\d.*$/, "");
  return name === "polyllama" ? name : name.replace("polyllama-", "@polyllama/");
}

const offline = ["install", "--offline", "--no-audit", "--no-fund"];

beforeAll(() => {
  must(run(process.execPath, [join(root, "scripts", "pack.mjs"), "--output", tarballs], root));
  // Fills the npm cache by what the tests do; from here on nothing may need the network.
  must(run("npm", ["install", "--prefer-offline", "--ignore-scripts"], createProject("prepared")));
}, 1_800_000);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function compilesAndWrites(folder: string): void {
  must(run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc")], folder));
  const { output } = must(run(process.execPath, ["main.js"], folder));
  expect(output).toMatch(/[\u4e00-\u9fff]{5}/);
}

describe("the packed packages in an empty project, offline", () => {
  test("without install scripts, a ten-line program compiles and writes text", () => {
    expect(program.trim().split("\n").length).toBeLessThanOrEqual(10);
    const folder = createProject("without-scripts");
    must(run("npm", [...offline, "--ignore-scripts"], folder));
    compilesAndWrites(folder);
  }, 300_000);

  test.runIf(full)(
    "with install scripts, the same; where onnxruntime-node's own script failed, its backend names the command that mends it",
    () => {
      const folder = createProject("with-scripts");
      must(run("npm", offline, folder));
      compilesAndWrites(folder);
      const generate = ["--no-install", "polyllama", "generate", "-p", "x", "--backend", "onnxruntime", "--no-cache"];
      if (!readdirSync(join(folder, "node_modules")).includes("onnxruntime-node")) {
        const { status, output } = run("npx", generate, folder);
        expect(status).not.toBe(0);
        expect(output).toContain("remove node_modules, then `ONNXRUNTIME_NODE_INSTALL=skip npm install`");
        for (const name of ["node_modules", "package-lock.json"])
          rmSync(join(folder, name), { recursive: true, force: true });
        must(run("npm", offline, folder, { ONNXRUNTIME_NODE_INSTALL: "skip" }));
      }
      must(run("npx", generate, folder));
    },
    300_000,
  );

  test("the command is installed, under the name that two packages have", () => {
    const folder = join(scratch, "without-scripts");
    const { output } = must(run("npx", ["--no-install", "polyllama", "--version"], folder));
    expect(output).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const name of ["polyllama", "@polyllama/cli"]) {
      const program = join(folder, "node_modules", name, "bin", "polyllama.js");
      expect(must(run(process.execPath, [program, "--version"], folder)).output).toBe(output);
    }
    const parity = ["--no-install", "polyllama", "parity", "--backends", "cpu,onnxruntime", "--tokens", "2"];
    const compared = must(run("npx", parity, folder)).output;
    for (const name of ["cpu", "onnxruntime"]) expect(compared).toContain(`\n${name} agrees with reference: `);
  }, 120_000);
});

test("a copy of the page compiles and builds on them", () => {
  const folder = createProject("page");
  must(run("npm", [...offline, "--ignore-scripts"], folder));
  for (const name of ["main.ts", "webgpu.ts"]) rmSync(join(folder, name));
  for (const name of ["index.html", "src", "vite.config.ts", "tsconfig.json"]) {
    cpSync(join(root, "apps/browser", name), join(folder, name), { recursive: true });
  }
  for (const name of ["vite", "typescript"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  must(run(process.execPath, ["node_modules/typescript/bin/tsc"], folder));
  must(run(process.execPath, ["node_modules/vite/bin/vite.js", "build"], folder));
  expect(readdirSync(join(folder, "dist"))).toEqual(expect.arrayContaining(["index.html", "model.safetensors"]));
}, 300_000);

describe("package files", () => {
  const tarballOf = (folder: string): string => {
    const { name } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    return join(tarballs, readdirSync(tarballs).find((file) => nameOf(file) === name)!);
  };

  test.each(folders)("%s passes publint", async (folder) => {
    const { buffer: tarball } = Uint8Array.from(readFileSync(tarballOf(folder)));
    expect((await publint({ pack: { tarball }, level: "warning" })).messages).toEqual([]);
  });

  test.runIf(full).each(folders.filter((folder) => folder !== "packages/cli"))(
    "%s passes are-the-types-wrong",
    (folder) => {
      const { exports } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as {
        exports: Readonly<Record<string, object>>;
      };
      // What only a clone of the repository has leads to nothing in what is published.
      const own = Object.keys(exports).filter(
        (name) => Object.keys(exports[name] ?? {}).join() === "@polyllama/source",
      );
      const without = own.length === 0 ? [] : ["--exclude-entrypoints", ...own];
      must(run(join(root, "node_modules/.bin/attw"), [tarballOf(folder), "--profile", "esm-only", ...without], root));
    },
  );
});
