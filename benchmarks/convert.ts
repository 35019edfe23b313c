// `npm run bench:convert`: a 7B model in F16, 13.5 GB, written as a GGUF file and quantized to Q4_0 by the command line, each in a
// process of its own: seconds, MB/s and peak memory, which must stay within 1 GiB. Needs 18 GB of disk; `--folder` says where,
// `--direct` quantizes what is computed instead of a file, in 4 GB.

import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "synthetic://llama-2-7b?seed=1&format=f16" },
    format: { type: "string", default: "q4_0" },
    folder: { type: "string", default: tmpdir() },
    direct: { type: "boolean", default: false },
  },
});
const main = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));
const folder = await mkdtemp(join(options.folder, "bench-convert-"));
const most = 2 ** 30;

/** Runs the command line and prints what it took; false when that was too much memory. */
function run(what: string, ...args: readonly string[]): boolean {
  const { status, stdout } = spawnSync(process.execPath, [...process.execArgv, main, ...args, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}`);
  const { bytes, seconds, peakBytes }: Record<"bytes" | "seconds" | "peakBytes", number> = JSON.parse(stdout);
  const pace = `${(bytes / 1e9).toFixed(2)} GB written in ${seconds.toFixed(1)} s, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;
  const peak = `peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB: ${peakBytes <= most ? "within" : "ABOVE"} 1024`;
  console.log(`${what}: ${pace}; ${peak}`);
  return peakBytes <= most;
}

try {
  const file = join(folder, "source.gguf");
  const written = options.direct || run("write", "convert", options.model, file);
  const source = options.direct ? options.model : file;
  const quantized = run(
    `quantize to ${options.format}`,
    ...["quantize", source, join(folder, "out.gguf"), "--format", options.format],
  );
  process.exitCode = written && quantized ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
