// `npm run bench:wasm`: polyllama's cpu backend in WebAssembly beside wllama, in the same headless Chromium, on the
// same synthetic GGUF file, once with one thread and once with several. Each engine has a page of its own; they are
// measured in turn, and the figures are medians. Chromium comes with `npm run setup:system`.
//
// `--engines wllama` or `polyllama` measures one alone.

import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright";
import { createServer } from "vite";
import { readArguments } from "../scripts/arguments.mjs";
import { readSystem } from "../scripts/system.mjs";
import { describeMachine, now } from "./cpu/machine.ts";
import { modelFile } from "./cpu/models.ts";
import type { PageEngine, PageLoad, PageSpeeds } from "./page/engine.ts";
import { installEngines, median } from "./support.ts";

const options = readArguments("npm run bench:wasm", "Speed of the cpu backend in Chromium beside wllama.", {
  engines: { type: "string", default: "polyllama,wllama", about: "engines, by commas" },
  model: {
    type: "string",
    default: "synthetic://tinyllama-1.1b?seed=1&layers=12&dim=1024&heads=16&kv_heads=4&hidden=2816&context=2048",
    about: "synthetic model, without format",
  },
  formats: { type: "string", default: "q4_0,q8_0,q4_k", about: "formats, by commas" },
  threads: { type: "string", default: "1,2", about: "numbers of threads, by commas" },
  rounds: { type: "string", default: "3", about: "rounds, of which medians are taken" },
  "prompt-tokens": { type: "string", default: "256", about: "length of the prompt" },
  "generate-tokens": { type: "string", default: "32", about: "tokens to generate" },
  folder: { type: "string", default: join(tmpdir(), "polyllama-bench"), about: "folder for models" },
});
const engines = options.engines.split(",");
const promptTokens = Number(options["prompt-tokens"]);
const generateTokens = Number(options["generate-tokens"]);

if (engines.includes("wllama")) installEngines("@wllama/wllama");
const executablePath = readSystem().chromium?.executable;
if (executablePath === undefined) throw new Error("Chromium is missing; `npm run setup:system` installs it.");
const repository = fileURLToPath(new URL("..", import.meta.url));
const server = await createServer({
  configFile: false,
  logLevel: "error",
  root: fileURLToPath(new URL("page", import.meta.url)),
  worker: { format: "es" },
  // Without what is on disk already: there is no need for a bundle of it.
  optimizeDeps: { noDiscovery: true },
  resolve: { conditions: ["@polyllama/source", "browser", "module", "import", "default"] },
  server: {
    port: 0,
    host: "127.0.0.1",
    fs: { allow: [repository, options.folder] },
    // Pages with these may have memory that threads share.
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
});
await server.listen();
const address = server.resolvedUrls?.local[0];
if (address === undefined) throw new Error("The server has no address.");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  console.log(`${describeMachine()}\nChromium ${browser.version()}; ${options.model}`);
  console.log("| format | threads | engine | prefill tok/s | decode tok/s |\n|---|---|---|---|---|");
  for (const format of options.formats.split(",")) {
    const { file } = await modelFile(options.folder, options.model, format);
    for (const threads of options.threads.split(",").map(Number)) {
      for (const row of await compare(`${address}@fs${file}`, threads))
        console.log(`| ${format} | ${threads} | ${row}`);
    }
    console.error(`${format}: ${now()}`);
  }
} finally {
  await browser.close();
  await server.close();
}

async function compare(url: string, threads: number): Promise<readonly string[]> {
  const pages = new Map<string, Page>();
  try {
    for (const name of engines) {
      const page = await browser.newPage();
      pages.set(name, page);
      page.on("console", (message) => message.type() === "error" && console.error(`${name}: ${message.text()}`));
      page.on("pageerror", (error) => console.error(`${name}: ${error.message}`));
      await page.goto(address ?? "");
      const request = { url, threads, contextLength: promptTokens + generateTokens + 64 };
      const used = await load(page, name, request);
      if (used !== threads) throw new Error(`${name} computes with ${used} threads, not ${threads}.`);
    }
    const samples = new Map(engines.map((name) => [name, [] as PageSpeeds[]]));
    for (let i = -1; i < Number(options.rounds); i++) {
      for (const [name, page] of pages) {
        const speeds = await round(page, name);
        if (i >= 0) samples.get(name)?.push(speeds); // the first one warms up
      }
    }
    const speeds = [...samples.values()].map((list) => ({
      prefill: median(list.map(({ prefill }) => prefill)),
      decode: median(list.map(({ decode }) => decode)),
    }));
    const rows = speeds.map(
      ({ prefill, decode }, i) => `${engines[i]} | ${prefill.toFixed(1)} | ${decode.toFixed(1)} |`,
    );
    const [a, b] = speeds;
    if (a === undefined || b === undefined) return rows;
    return [...rows, `**ratio** | ${(a.prefill / b.prefill).toFixed(2)} | ${(a.decode / b.decode).toFixed(2)} |`];
  } finally {
    for (const page of pages.values()) await page.close();
  }
}

/** What is called of a page's module, which Vite compiles from the sources. */
interface Module {
  readonly engine: PageEngine;
}

function load(page: Page, name: string, request: PageLoad): Promise<number> {
  return page.evaluate(
    async ([path, request]) => {
      const { engine } = (await import(path)) as Module; // a module of this folder's `page`
      return engine.load(request);
    },
    [`/${name}.ts`, request] as const,
  );
}

function round(page: Page, name: string): Promise<PageSpeeds> {
  return page.evaluate(
    async ([path, read, written]) => {
      const { engine } = (await import(path)) as Module; // the one that was loaded
      return engine.round(read, written);
    },
    [`/${name}.ts`, promptTokens, generateTokens] as const,
  );
}
