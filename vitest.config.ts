import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { readSystem, vulkanEnvironment } from "./scripts/system.mjs";
import { testServer } from "./tests/support/test-server.ts";

// Sources run without a build: the packages' own export condition leads to their TypeScript files.
const conditions = ["@polyllama/source"];
const full = process.env["POLYLLAMA_TEST_FULL"] === "1"; // `npm test -- --full`
const root = fileURLToPath(new URL(".", import.meta.url));

// A Vulkan loader looks for its driver when a process starts, so that test processes must inherit this.
Object.assign(process.env, vulkanEnvironment());

const node: TestProjectInlineConfiguration = {
  extends: true,
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    name: "node",
    include: [
      "packages/*/test/**/*.test.ts",
      "conformance/test/**/*.test.ts",
      "apps/*/test/**/*.test.ts",
      "tests/**/*.test.ts",
    ],
    exclude: ["**/*.browser.test.ts", "**/node_modules/**", ...(full ? [] : ["**/*.full.test.ts"])],
    pool: "forks",
    execArgv: ["--conditions=@polyllama/source"],
  },
};

/** Tests in a page, on the adapter that Chromium itself brings. */
function chromium(executablePath: string): TestProjectInlineConfiguration {
  const args = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"];
  return {
    extends: true,
    resolve: { conditions: [...conditions, "browser"] },
    server: { fs: { allow: [root, `${root}../shared/data`] } },
    plugins: [testServer()],
    test: {
      name: "chromium",
      provide: { developmentData: existsSync(`${root}../shared/data`) || process.env["CI"] !== undefined, full },
      include: ["{packages,apps}/*/test/**/*.browser.test.ts", "conformance/test/**/*.browser.test.ts"],
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({ launchOptions: { executablePath, args } }),
        instances: [{ browser: "chromium" }],
      },
    },
  };
}

/** Files that take longest: they come first, so that no core is left with one of them at the end. */
const longest = [
  "packages/backend-webgpu/test/conformance",
  "conformance/test/onnxruntime.",
  "packages/backend-cpu/test/conformance.",
  "packages/backend-cuda/test/conformance",
  "packages/polyllama/test/llama.",
  "tests/packages.",
  "tests/add-an-op.",
  "packages/backend-onnxruntime/test/weight-cache.",
  "packages/checkpoints/test/convert.",
  "conformance/test/",
  "packages/backend-cpu/",
  "packages/backend-onnxruntime/",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((start) => moduleId.startsWith(root + start));
      return at < 0 ? longest.length : at;
    };
    return [...(await super.sort(files))].sort((a, b) => rank(a) - rank(b));
  }
}

const installed = readSystem().chromium;

const config: ViteUserConfig = defineConfig({
  test: {
    maxWorkers: 3, // on two cores, as many tests wait for something
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    projects: [node, ...(installed === undefined ? [] : [chromium(installed.executable)])],
  },
});

export default config;
