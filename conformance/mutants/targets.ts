// What can be mutated, and which folders of tests would judge a change of it, nearest first.

export interface Target {
  /** Folder of the package. */
  readonly package: string;
  /** Folders, or how the paths of files begin. */
  readonly tests: readonly string[];
  /**
   * Tests that are asked before all others, since they reach most of the package in little time: a file, and its tests
   * by name.
   */
  readonly first?: { readonly test: string; readonly names: RegExp };
  /** Tests that run sources in worker threads, where calls are not seen. */
  readonly threads?: readonly { readonly test: string; readonly sources: string }[];
}

const packageTests = (...names: readonly string[]): readonly string[] => names.map((name) => `packages/${name}/test/`);

export const targets: Readonly<Record<string, Target>> = {
  core: {
    package: "core",
    tests: packageTests(
      "core",
      "polyllama",
      "checkpoints",
      "cli",
      "backend-reference",
      "backend-onnxruntime",
      "backend-webgpu",
    ),
  },
  formats: {
    package: "formats",
    tests: packageTests("formats", "checkpoints", "backend-reference", "backend-onnxruntime"),
    threads: [{ test: "packages/checkpoints/test/quantize.test.ts", sources: "packages/formats/src/quantize/" }],
  },
  planner: {
    package: "planner",
    tests: [
      ...packageTests("planner", "backend-reference"),
      "conformance/test/device",
      "packages/backend-cpu/test/device",
    ],
  },
  vocabulary: { package: "vocabulary", tests: packageTests("vocabulary", "checkpoints", "cli") },
  polyllama: {
    package: "polyllama",
    tests: [
      ...packageTests("polyllama"),
      "conformance/test/llama.", // the suite of models, on backends whose tokens are chosen on the host
      "packages/backend-webgpu/test/llama", // and on one that chooses them on the device
      "apps/server/test/",
      ...packageTests("cli"),
    ],
    threads: [{ test: "packages/polyllama/test/renderer.test.ts", sources: "packages/polyllama/src/chat/jinja/" }],
  },
  checkpoints: {
    package: "checkpoints",
    tests: packageTests("checkpoints", "polyllama", "cli"),
    threads: [{ test: "packages/checkpoints/test/quantize.test.ts", sources: "packages/checkpoints/src/quantize/" }],
  },
  cli: { package: "cli", tests: packageTests("cli") },
  webgpu: {
    package: "backend-webgpu",
    tests: packageTests("backend-webgpu"),
    first: { test: "packages/backend-webgpu/test/conformance.test.ts", names: /path:/ },
  },
  cuda: {
    package: "backend-cuda",
    tests: packageTests("backend-cuda"),
    first: { test: "packages/backend-cuda/test/conformance.test.ts", names: /path:/ },
  },
  cpu: {
    package: "backend-cpu",
    tests: packageTests("backend-cpu"),
    first: { test: "packages/backend-cpu/test/conformance.test.ts", names: /path:/ },
  },
  /** Whose faults are those of training in other packages, too. */
  training: {
    package: "training",
    tests: [
      ...packageTests("training"),
      "packages/planner/test/training-",
      "conformance/test/training.",
      "packages/backend-cpu/test/training.",
      "conformance/test/losses.",
      "packages/backend-cpu/test/device.",
    ],
  },
  onnxruntime: {
    package: "backend-onnxruntime",
    tests: [...packageTests("backend-onnxruntime"), "conformance/test/"],
    first: { test: "conformance/test/onnxruntime.test.ts", names: /path:/ },
  },
  reference: {
    package: "backend-reference",
    tests: [
      ...packageTests("backend-reference"),
      "conformance/test/",
      "packages/backend-cuda/test/conformance.", // whose bounds are those of tensor cores, too
      "packages/backend-webgpu/test/conformance.",
    ],
    first: { test: "conformance/test/onnxruntime.test.ts", names: /op:/ },
  },
};

/**
 * Tests that compare sources with what was made of them, or that are about this: they see any change, right or wrong.
 */
const blind = new Set([
  "packages/backend-cpu/test/libraries.test.ts",
  "packages/backend-webgpu/test/kernels.test.ts",
  "packages/backend-cuda/test/images.test.ts",
  "conformance/test/mutants.test.ts",
]);

/** The test files among `files` that judge a target, in the order of its folders. */
export function judgesOf(target: Target, files: readonly string[]): readonly string[] {
  const judges = files.filter((file) => /(?<!\.browser)\.test\.ts$/.test(file) && !blind.has(file));
  return target.tests.flatMap((folder) => judges.filter((file) => file.startsWith(folder)));
}
