// A page of a headless Chromium as an environment. Vite serves the sources to it; nothing is built.

import { fileURLToPath } from "node:url";
import { type Browser, chromium as browserType } from "playwright";
import { createViteServer } from "vitest/node";
import { caseTimeout, type Environment, type RemoteBackend } from "./environment.ts";
import type {} from "./page.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** @param executablePath Chromium or its headless shell. */
export async function chromium(executablePath: string, backend: RemoteBackend): Promise<Environment> {
  const server = await createViteServer({
    root,
    configFile: false,
    logLevel: "error",
    appType: "custom",
    resolve: { conditions: ["@polyllama/source", "browser", "module", "import", "default"] },
    optimizeDeps: { noDiscovery: true },
    server: { host: "127.0.0.1", port: 0, hmr: false, watch: null },
  });
  let browser: Browser | undefined;
  const dispose = async (): Promise<void> => {
    await browser?.close();
    await server.close();
  };
  try {
    server.middlewares.use("/empty.html", (_, response) => {
      response.setHeader("Content-Type", "text/html").end("<!doctype html><title>conformance</title>");
    });
    await server.listen();
    const args = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"];
    browser = await browserType.launch({ executablePath, args });
    const page = await browser.newPage();
    await page.goto(`${server.resolvedUrls!.local[0]}empty.html`);
    await page.evaluate((path) => import(/* @vite-ignore */ path), "/conformance/environments/page.ts");
    const opened = await page.evaluate((wanted) => globalThis.remote.open(wanted), backend);
    const { info, addresses } = opened;
    const details = { ...info.details, chromium: browser.version() };
    return {
      info: { ...info, details },
      addresses,
      run: (address, seed) =>
        within(
          page.evaluate(([which, value]) => globalThis.remote.run(which, value), [address, seed] as const),
          address,
        ),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function within<T>(work: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`${what} took more than ${caseTimeout / 1000} s`));
    const timer = setTimeout(late, caseTimeout);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
