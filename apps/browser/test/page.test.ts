// The page, served as `npm start` serves it, driven in a headless Chromium: it writes, stops, and loads a file of the
// user's own.

import { fileURLToPath } from "node:url";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describeWithSystem, system } from "@polyllama/test-support/system";
import { type Browser, chromium, type Page } from "playwright";
import { build, createServer, type ViteDevServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const configFile = fileURLToPath(new URL("../vite.sources.config.ts", import.meta.url));

describeWithSystem("chromium", "the page", () => {
  let server: ViteDevServer;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    server = await createServer({ configFile, logLevel: "error", server: { port: 0, host: "127.0.0.1" } });
    await server.listen();
    browser = await chromium.launch({
      executablePath: system.chromium!.executable,
      args: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"],
    });
    page = await browser.newPage({ viewport: { width: 800, height: 760 } });
    await page.goto(server.resolvedUrls!.local[0]!);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  const text = (): Promise<string | null> => page.locator("#text").textContent();

  test("writes with the embedded model, and says on what", { timeout: 120_000 }, async () => {
    await page.waitForFunction(() => document.querySelector("#text")!.textContent.length > 30, undefined, {
      timeout: 100_000,
    });
    expect(await text()).toMatch(/^春夜\s李白\s[\u4e00-\u9fff]{5}/);
    const facts = await page.locator("#facts").textContent();
    expect(facts).toMatch(/SwiftShader/i);
    expect(facts).toMatch(/f16/);
    expect(await page.locator("output").textContent()).toMatch(/^\d+\.\d tokens\/s$/);
    expect(await page.locator("#error").textContent()).toBe("");
    const picture = await page.screenshot();
    expect(picture.subarray(1, 4).toString()).toBe("PNG");
  });

  test("stops on request", async () => {
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Write" }).and(page.locator(":enabled")).waitFor();
    const before = await text();
    await page.waitForTimeout(300);
    expect(await text()).toBe(before);
  });

  describeWithShared("with files of a user", () => {
    test("loads a file of the user's own, and writes with it", { timeout: 120_000 }, async () => {
      await page.locator("textarea").fill("Once upon a time");
      await page.locator("input[type=file]").setInputFiles(shared("weights/stories260K.gguf"));
      await page.getByText("stories260K.gguf").waitFor();
      await page.getByRole("button", { name: "Write" }).and(page.locator(":enabled")).click();
      await page.waitForFunction(() => document.querySelector("#text")!.textContent.length > 80, undefined, {
        timeout: 100_000,
      });
      expect(await text()).toMatch(/^Once upon a time[, ]/);
    });

    test("a llama2.c file is loaded together with its tokenizer; Ctrl+Enter writes, until the context is full", {
      timeout: 120_000,
    }, async () => {
      const files = ["weights/stories260K.bin", "weights/tok512.bin"].map((name) => shared(name));
      await page.locator("input[type=file]").setInputFiles(files);
      await page.getByText("stories260K.bin").waitFor();
      // Longer than the context less the 200 tokens that are asked for, in characters and in tokens.
      await page.locator("textarea").fill("Once upon a time there was a dog. ".repeat(38));
      await page.getByRole("button", { name: "Write" }).and(page.locator(":enabled")).waitFor();
      await page.locator("textarea").press("Control+Enter");
      await page.waitForFunction(() => document.querySelector("#text")!.textContent.length > 38 * 34 + 10, undefined, {
        timeout: 100_000,
      });
      expect(await page.locator("#error").textContent()).toBe("");
      await page.getByRole("button", { name: "Stop" }).click();
    });

    test("a prompt beyond the context is told in words", async () => {
      await page.locator("textarea").fill("a dog ".repeat(600));
      await page.getByRole("button", { name: "Write" }).and(page.locator(":enabled")).click();
      await page.locator("#error").getByText("512").waitFor();
    });
  });

  test("a file that is no checkpoint is told in words, and the facts of the model before are gone", async () => {
    const file = { name: "note.txt", mimeType: "text/plain", buffer: Buffer.from("no model") };
    await page.locator("input[type=file]").setInputFiles(file);
    await page.locator("#error").getByText("no checkpoint").waitFor();
    expect(await page.locator("#facts").textContent()).toMatch(/^modelnone; choose a file/);
    expect(await page.getByRole("button", { name: "Write" }).isEnabled()).toBe(false);
  });

  test("a first model that cannot be loaded is told in words that stay", async () => {
    const other = await browser.newPage();
    await other.goto(`${server.resolvedUrls!.local[0]!}?model=/nowhere.gguf`);
    await other.locator("#error").getByText("nowhere.gguf").waitFor();
    await other.getByText("none; choose a file").waitFor();
    // What came after it would have run by now.
    await other.waitForFunction(() => document.querySelector<HTMLButtonElement>("button[name=stop]")!.disabled);
    expect(await other.locator("#error").textContent()).toMatch(/nowhere\.gguf/);
    await other.close();
  });

  test("writes on the processor, with threads, where that is chosen", { timeout: 120_000 }, async () => {
    await page.locator("select").selectOption("cpu");
    await page.waitForURL(/backend=cpu/);
    await page.waitForFunction(() => document.querySelector("#text")!.textContent.length > 30, undefined, {
      timeout: 100_000,
    });
    expect(await text()).toMatch(/^春夜\s李白\s[\u4e00-\u9fff]{5}/);
    expect(await page.locator("#facts").textContent()).toMatch(/WebAssembly, \d+ threads/);
    expect(await page.locator("#error").textContent()).toBe("");
  });

  test("without WebGPU it writes on the processor", { timeout: 120_000 }, async () => {
    const blind = await chromium.launch({
      executablePath: system.chromium!.executable,
      args: ["--disable-gpu", "--disable-features=WebGPU", "--no-sandbox"],
    });
    try {
      const other = await blind.newPage();
      await other.goto(server.resolvedUrls!.local[0]!);
      await other.waitForFunction(() => document.querySelector("#text")!.textContent.length > 30, undefined, {
        timeout: 100_000,
      });
      expect(await other.locator("#facts").textContent()).toMatch(/WebAssembly/);
      expect(await other.locator("#error").textContent()).toBe("");
    } finally {
      await blind.close();
    }
  });
});

test("builds for browsers without anything of Node in it", async () => {
  const built = await build({ configFile, logLevel: "silent", build: { write: false } });
  const outputs = Array.isArray(built) ? built : [built];
  const code = outputs.flatMap((result) => ("output" in result ? result.output : []));
  expect(code.length).toBeGreaterThan(1);
  for (const file of code) if (file.type === "chunk") expect(file.code).not.toMatch(/from\s*["']node:/);
});
