import { defineConfig, type ViteUserConfig } from "vitest/config";

// Sources run without a build: the packages' own export condition leads to their TypeScript files.
const conditions = ["@polyllama/source"];

const config: ViteUserConfig = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      "packages/*/test/**/*.test.ts",
      "conformance/test/**/*.test.ts",
      "apps/*/test/**/*.test.ts",
      "tests/**/*.test.ts",
    ],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    execArgv: ["--conditions=@polyllama/source"],
  },
});

export default config;
