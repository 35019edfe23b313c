import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

// Memory can be shared by threads, which the processor's kernels then have, where a page is isolated from other origins.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  // The embedded model's files, beside the page.
  publicDir: fileURLToPath(new URL(".", import.meta.resolve("@polyllama/model-poet/files/config.json"))),
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
  build: { target: "es2022" },
});

export default config;
