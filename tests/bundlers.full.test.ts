// The packages in bundles, as bundlers' users make and run them: each application of tests/bundlers is built by its
// bundler, opened in Chromium, and has to write, in the page and in a worker of it, the tokens that Node writes. The
// bundlers come with `npm run setup:system -- --full`.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { reference } from "@polyllama/backend-reference";
import { poet, poetUrl } from "@polyllama/model-poet";
import { describeWithSystem, system } from "@polyllama/test-support/system";
import { type Browser, chromium } from "playwright";
import { Llama } from "polyllama";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installPackages } from "./support/installed.ts";
import { type RunningServer, startServer } from "./support/server-process.ts";

const packages = ["polyllama", "@polyllama/backend-reference", "@polyllama/backend-webgpu", "@polyllama/model-poet"];
const prompt = "春夜\n李白\n";
const minutes = 60_000;

describeWithSystem(["bundlers", "chromium"], "applications in bundles write what Node writes", () => {
  let project: string;
  let browser: Browser;
  let expected: { readonly page: readonly number[]; readonly worker: readonly number[] };
  const app = (name: string, ...rest: readonly string[]): string => join(project, "apps", name, ...rest);
  const tool = (path: string): string => join(system.bundlers!.folder, "node_modules", path);

  beforeAll(async () => {
    project = mkdtempSync(join(system.bundlers!.folder, "run-")); // so that the bundlers are found above it
    installPackages(project, packages);
    cpSync(fileURLToPath(new URL("bundlers", import.meta.url)), app("."), { recursive: true });
    const args = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"];
    browser = await chromium.launch({ executablePath: system.chromium!.executable, args });
    expected = { page: await idsInNode("q8_0"), worker: await idsInNode() };
    expect(expected.page).toHaveLength(8);
  }, 5 * minutes);

  afterAll(async () => {
    await browser?.close();
    if (project !== undefined) rmSync(project, { recursive: true, force: true });
  });

  /** What a build prints; one that fails, or that warns, is shown whole. */
  async function bundle(name: string, program: string, ...rest: readonly string[]): Promise<void> {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [tool(program), ...rest], {
      cwd: app(name),
      env: { ...process.env, NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" },
      timeout: 4 * minutes,
    });
    expect(`${stdout}${stderr}`).not.toMatch(/node:|doesn't exist|can't resolve|externalized/i);
  }

  /** What an application left in the title of its page. */
  async function resultOf({ url }: RunningServer): Promise<unknown> {
    const page = await browser.newPage();
    try {
      const problems: string[] = [];
      page.on("pageerror", ({ message }) => problems.push(message));
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      await page.goto(url);
      await page.waitForFunction("document.title.startsWith('{')", undefined, { timeout: 2 * minutes }).catch(() => {
        throw new Error(`The page wrote nothing. ${problems.join("\n")}`);
      });
      return JSON.parse(await page.title());
    } finally {
      await page.close();
    }
  }

  /** Serves a folder of files, by Vite's server for built pages. */
  const serveFiles = (name: string): Promise<RunningServer> =>
    startServer(
      [tool("vite/bin/vite.js"), "preview", "--config", app("vite", "vite.config.js"), "--outDir", "dist"],
      app(name),
    );

  test(
    "esbuild",
    async () => {
      await bundle(
        "esbuild",
        "esbuild/bin/esbuild",
        "main.js",
        "worker.js",
        "--bundle",
        "--format=esm",
        "--outdir=dist",
      );
      cpSync(app("esbuild", "index.html"), app("esbuild", "dist", "index.html"));
      cpSync(poetUrl, app("esbuild", "dist", "poet"), { recursive: true });
      await using server = await serveFiles("esbuild");
      expect(await resultOf(server)).toEqual(expected);
    },
    5 * minutes,
  );

  test(
    "webpack",
    async () => {
      await bundle("webpack", "webpack-cli/bin/cli.js", "--no-optimization-minimize"); // which takes most of the time
      cpSync(app("webpack", "index.html"), app("webpack", "dist", "index.html"));
      cpSync(poetUrl, app("webpack", "dist", "poet"), { recursive: true });
      await using server = await serveFiles("webpack");
      expect(await resultOf(server)).toEqual(expected);
    },
    5 * minutes,
  );

  test(
    "Vite",
    async () => {
      cpSync(poetUrl, app("vite", "public", "poet"), { recursive: true });
      await bundle("vite", "vite/bin/vite.js", "build");
      await using server = await serveFiles("vite");
      expect(await resultOf(server)).toEqual(expected);
    },
    5 * minutes,
  );

  test(
    "Next, in a client component and in a route handler",
    async () => {
      cpSync(poetUrl, app("next", "public", "poet"), { recursive: true });
      await bundle("next", "next/dist/bin/next", "build");
      await using server = await startServer([tool("next/dist/bin/next"), "start", "--port", "0"], app("next"));
      const response = await fetch(new URL(`api/write?prompt=${encodeURIComponent(prompt)}`, server.url));
      expect(await response.json()).toMatchObject({ ids: expected.page });
      expect(await resultOf(server)).toEqual(expected);
    },
    8 * minutes,
  );
});

async function idsInNode(quantize?: "q8_0"): Promise<readonly number[]> {
  await using backend = reference();
  await using llama = await Llama.load(poet, { backend, ...(quantize && { quantize }) });
  return (await llama.complete(prompt, { temperature: 0, maxTokens: 8 })).ids;
}
