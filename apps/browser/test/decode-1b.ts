// `npm run browser:1b`: a synthetic model of TinyLlama's dimensions, 1.1 billion weights in Q4_0, decodes in the page,
// on a device with nothing but the limits that WebGPU guarantees everywhere. Minutes on a software adapter, so no test.

import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { createServer } from "vite";
import { readArguments } from "../../../scripts/arguments.mjs";
import { readSystem } from "../../../scripts/system.mjs";

readArguments("npm run browser:1b", "Decodes a synthetic model of 1.1 billion weights in a page.", {});

const tokenCount = 4;
const mostMinutes = 15;
const model =
  "synthetic://llama-2-7b?seed=1&format=q4_0&layers=22&dim=2048&heads=32&kv_heads=4&hidden=5632&context=256";

const executablePath = readSystem().chromium?.executable;
if (executablePath === undefined) throw new Error("Chromium is missing; `npm run setup:system` installs it.");
const configFile = fileURLToPath(new URL("../vite.sources.config.ts", import.meta.url));
const server = await createServer({ configFile, logLevel: "error", server: { port: 0, host: "127.0.0.1" } });
await server.listen();
const browser = await chromium.launch({
  executablePath,
  args: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"],
});
try {
  const page = await browser.newPage();
  const query = new URLSearchParams({ model, limits: "default" });
  await page.goto(`${server.resolvedUrls!.local[0]}?${query}`);
  const started = performance.now();
  await page.waitForFunction(
    (wanted) => {
      const error = document.querySelector("#error")!.textContent;
      if (error !== "") throw new Error(error);
      // The speed is shown from the second token on, and the bar counts tokens once there is one.
      const bar = document.querySelector("progress")!.value;
      return document.querySelector("output")!.value !== "" && bar * 200 >= wanted;
    },
    tokenCount,
    { timeout: mostMinutes * 60_000, polling: 1000 },
  );
  const facts = await page.locator("#facts dd").allTextContents();
  const speed = await page.locator("output").textContent();
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${facts.join("; ")}; limits default; ${tokenCount} tokens after ${seconds} s, ${speed}`);
} finally {
  await browser.close();
  await server.close();
}
