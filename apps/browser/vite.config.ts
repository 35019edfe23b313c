import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";

const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  // The embedded model's files, beside the page.
  publicDir: fileURLToPath(new URL(".", import.meta.resolve("@polyllama/model-poet/files/config.json"))),
  worker: { format: "es" },
  build: { target: "es2022" },
});

export default config;
