// What goes into the offline bundle.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tools.mjs";

/** Bytes that the archive may have. */
export const limit = 55e6;

/** Workspaces that the bundle begins with; what they depend on follows. */
export const roots = ["packages/cli", "packages/gpu-check", "apps/server"];
/** Programs of this repository that are no packages, and where they go. */
export const programs = {
  "benchmarks/cuda.ts": "benchmarks/cuda.js",
  "benchmarks/capacity.ts": "benchmarks/capacity.js",
  "benchmarks/big.ts": "benchmarks/big.js",
  "benchmarks/engines/protocol.ts": "benchmarks/engines/protocol.js",
  ...Object.fromEntries(
    readdirSync(join(root, "apps/server/src")).map((file) => [
      `apps/server/src/${file}`,
      `apps/server/${file.replace(/\.ts$/, ".js")}`,
    ]),
  ),
};
/** Files of packages that bring more than is run here. */
export const chosenFiles = {
  "onnxruntime-node": ["package.json", "README.md", "bin/napi-v6/linux/x64/libonnxruntime.so.1"],
  webgpu: ["package.json", "LICENSE.md", "index.js", "dist/linux-x64/dawn.node"],
  "@koromix/koffi-linux-x64": ["package.json", "index.js", "linux_x64/koffi.node"],
  "@bufbuild/protobuf": ["package.json", "README.md", "dist/esm"],
};
/** What these need is for their installation, or for types. */
export const withoutDependencies = new Set(["onnxruntime-node", "webgpu"]);
/**
 * Parts by the beginning of a path, the first that fits; the last one takes the rest. The optional ones may be left
 * out.
 */
export const parts = [
  { name: "Node", paths: ["bin/", "lib/"] },
  { name: "Dawn (webgpu)", paths: ["node_modules/webgpu/"] },
  { name: "poet", paths: ["node_modules/@polyllama/model-poet/"] },
  { name: "CUDA kernels", paths: ["node_modules/@polyllama/backend-cuda/images/"] },
  { name: "packages and programs", paths: [""] },
  {
    name: "ONNX Runtime",
    paths: ["node_modules/onnxruntime-node/"],
    optional: "without it --backend onnxruntime does not run; use cpu, reference, webgpu or cuda",
  },
];
