// The check with the machine's own card, drivers and programs. What is printed goes to standard output, progress to
// standard error.

import { readFileSync } from "node:fs";
import { cuda } from "@polyllama/backend-cuda";
import { webgpu } from "@polyllama/backend-webgpu";
import { printable } from "@polyllama/core";
import { runGpuCheck } from "./check.ts";
import { help, readOptions, UsageError } from "./options.ts";
import { findProgram } from "./programs.ts";
import { cudaTasks, modelTask } from "./speed/tasks.ts";

/** Runs the check to its end, and returns its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    const options = readOptions(args);
    if (options === undefined) {
      process.stdout.write(help);
      return 0;
    }
    const { device, model } = options;
    return await runGpuCheck(options, {
      version: version(),
      signal: stop.signal,
      print: (line = "") => void process.stdout.write(`${printable(line)}\n`),
      note: (line) => void process.stderr.write(`${printable(line)}\n`),
      createBackend: async (name) => (name === "cuda" ? cuda({ device }) : await webgpu()),
      card: () => cuda.available({ device }),
      copyBandwidth: () => cuda.copyBandwidth({ device }),
      tensorPeak: () => cuda.tensorPeak({ device }),
      findProgram,
      tasks: model === undefined ? cudaTasks : [modelTask(model)],
    });
  } catch (error) {
    process.stderr.write(printable(`error: ${error instanceof Error ? error.message : String(error)}\n`));
    return error instanceof UsageError ? 2 : stop.signal.aborted ? 130 : 1;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

function version(): string {
  const manifest: { readonly version?: unknown } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  return String(manifest.version);
}
