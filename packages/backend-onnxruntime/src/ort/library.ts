// Finds the ONNX Runtime library that the package onnxruntime-node ships. Only the native library is used, through its
// C interface: the package's own JavaScript binding copies whole key/value caches and blocks the event loop, and is
// never loaded. The package is an optional dependency because its install script fails without a network, so its
// absence is an answer here, not an exception, and comes with the command that mends it.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { PolyllamaError } from "@polyllama/core";

/** The version whose kernels this package was measured and tested with. */
const expectedVersion = "1.30.0";

/** Where the library is, or why there is none. */
export type OnnxRuntimeStatus =
  | { readonly found: true; readonly version: string; readonly path: string }
  | { readonly found: false; readonly reason: string; readonly code: "ERR_BACKEND" | "ERR_UNSUPPORTED" };

/** Library of each platform within the package. Tested: linux x64. */
const files: Readonly<Record<string, string>> = {
  "linux-x64": "linux/x64/libonnxruntime.so.1",
  "linux-arm64": "linux/arm64/libonnxruntime.so.1",
  "win32-x64": "win32/x64/onnxruntime.dll",
  "win32-arm64": "win32/arm64/onnxruntime.dll",
  "darwin-arm64": "darwin/arm64/libonnxruntime.1.dylib",
};

/** Works for projects and for `-g`, and adds no dependency that `npm ci` would run the script of. */
const remedy =
  "Install again what you installed, with ONNXRUNTIME_NODE_INSTALL=skip in the environment: remove node_modules, then " +
  "`ONNXRUNTIME_NODE_INSTALL=skip npm install`, or `ONNXRUNTIME_NODE_INSTALL=skip npm install -g @polyllama/cli`; " +
  "the option --ignore-scripts does the same. On Windows set the variable before: `set ONNXRUNTIME_NODE_INSTALL=skip`.";

/**
 * Looks for the library without loading it. `resolve` finds a package's files; by default as an import from here would.
 */
export function onnxRuntimeStatus(
  resolve: (specifier: string) => string = createRequire(import.meta.url).resolve,
): OnnxRuntimeStatus {
  const platform = `${process.platform}-${process.arch}`;
  const file = files[platform];
  if (file === undefined) {
    const known = Object.keys(files).join(", ");
    return {
      found: false,
      code: "ERR_UNSUPPORTED",
      reason: `onnxruntime-node has no library for ${platform}; it has ${known}. Choose another backend there.`,
    };
  }
  let manifest: string;
  try {
    manifest = resolve("onnxruntime-node/package.json");
  } catch {
    return {
      found: false,
      code: "ERR_BACKEND",
      reason:
        "onnxruntime-node is not installed: it is an optional dependency, and npm leaves it out where its install script " +
        `cannot fetch GPU files, which are never used here. ${remedy}`,
    };
  }
  const path = join(dirname(manifest), "bin", "napi-v6", file);
  const { version }: { version?: unknown } = JSON.parse(readFileSync(manifest, "utf8"));
  if (!existsSync(path)) {
    return {
      found: false,
      code: "ERR_BACKEND",
      reason:
        `onnxruntime-node ${String(version)} at ${dirname(manifest)} lacks ${file}. ` +
        `Tested is ${expectedVersion}. ${remedy}`,
    };
  }
  return { found: true, version: String(version), path };
}

/** @throws {PolyllamaError} `ERR_BACKEND`, `ERR_UNSUPPORTED` */
export function requireLibrary(): Extract<OnnxRuntimeStatus, { found: true }> {
  const status = onnxRuntimeStatus();
  if (!status.found) throw new PolyllamaError(status.code, `The onnxruntime backend cannot start: ${status.reason}`);
  return status;
}
