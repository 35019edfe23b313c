// What `npm run lint` holds the repository to beside biome, as data: which package stands on which, and how long files
// may be. The picture of docs/architecture.md is checked against these layers. What still breaks a rule is listed here,
// with the reason, and nowhere else; an exception that nothing needs any more is an error too.

export interface Layer {
  readonly name: string;
  /** Folders: `packages/NAME` where there is no slash, except for conformance. Some are still to come. */
  readonly packages: readonly string[];
  /** Layers right beneath. Sources import from those, and from all beneath them; never from their own layer. */
  readonly on: readonly string[];
}

export const layers: readonly Layer[] = [
  { name: "tests", packages: ["test-support"], on: ["conformance", "backends", "model"] },
  {
    name: "ends",
    packages: ["apps/browser", "apps/server", "apps/terminal", "cli", "gpu-check"],
    on: ["services", "conformance", "backends", "model"],
  },
  { name: "services", packages: ["server", "ai-sdk", "training", "evaluation"], on: ["library"] },
  { name: "conformance", packages: ["conformance"], on: ["library", "reference"] },
  {
    name: "backends",
    packages: ["backend-cpu", "backend-onnxruntime", "backend-webgpu", "backend-cuda", "backend-tfjs"],
    on: ["planner"],
  },
  { name: "reference", packages: ["backend-reference"], on: ["planner"] },
  { name: "library", packages: ["polyllama"], on: ["checkpoints"] },
  { name: "checkpoints", packages: ["checkpoints"], on: ["vocabulary"] },
  { name: "vocabulary", packages: ["vocabulary"], on: ["ground"] },
  { name: "planner", packages: ["planner"], on: ["ground"] },
  { name: "ground", packages: ["formats", "grammar", "distributed"], on: ["core"] },
  { name: "model", packages: ["model-poet"], on: [] },
  { name: "core", packages: ["core"], on: [] },
];

/** Folders of the repository that are no packages. */
export const folders: readonly string[] = ["benchmarks", "fuzz", "scripts", "tests"];

/**
 * Paths that are not looked at: what is built, what runs keep, and projects of others' tools, which are tested as users
 * write them.
 */
export const ignored: RegExp = /^((packages|apps)\/[^/]+|conformance)\/(dist|\.cache)\/|^tests\/bundlers\//;

/** Modules that nobody has to have installed. */
export const optionalModules: readonly string[] = ["node-llama-cpp", "llama-tokenizer-js", "@wllama/wllama"];

export interface ImportException {
  readonly rule: string;
  /** Fits what the check prints of the problem: the files in their order. */
  readonly path: RegExp;
  readonly reason: string;
}

export const importExceptions: readonly ImportException[] = [];

export interface SizeException {
  readonly path: string;
  readonly reason: string;
}

/** Lines of source files: what packages, tools and benchmarks are made of, tests apart. */
export const sizes: {
  readonly endings: readonly string[];
  /** Folders, by the end of their path, whose files are no sources. */
  readonly leftOut: readonly string[];
  readonly median: number;
  readonly most: number;
  readonly exceptions: readonly SizeException[];
} = {
  endings: [".ts", ".mts", ".js", ".mjs", ".wgsl", ".cu", ".cuh", ".cpp", ".h", ".py"],
  leftOut: ["test", "tests", "dist", ".cache", "node_modules"],
  median: 110,
  most: 400,
  exceptions: [
    { path: "packages/backend-cuda/emulation/emulation.cpp", reason: "the emulation of a card, for tests alone" },
    { path: "packages/backend-cpu/native/structs.h", reason: "written from src/native/structs.ts" },
  ],
};
