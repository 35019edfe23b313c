// `npm run bench:convert`: a 7B model in F16, 13.5 GB, written as a GGUF file and quantized to Q4_0 by the command
// line, each in a process of its own: seconds, MB/s and peak memory, which must stay within 1 GiB. Needs 18 GB of disk;
// `--folder` says where, `--direct` quantizes what is computed instead of a file, in 4 GB.

import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "../scripts/arguments.mjs";

const options = readArguments("npm run bench:convert", "Speed and memory of convert and quantize on a whole model.", {
  model: { type: "string", default: "synthetic://llama-2-7b?seed=1&format=f16", about: "source" },
  format: { type: "string", default: "q4_0", about: "format to quantize to" },
  folder: { type: "string", default: tmpdir(), about: "folder to work in" },
  direct: { type: "boolean", default: false, about: "write past the cache of the system" },
});
const main = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));
const folder = await mkdtemp(join(options.folder, "bench-convert-"));
const most = 2 ** 30;

interface Report {
  readonly bytes: number;
  readonly seconds: number;
  readonly peakBytes: number;
}

/** Runs the command line and prints what it took, at the speed of reading what is `sourceBytes` long. */
function run(what: string, sourceBytes: number | undefined, ...args: readonly string[]): Report {
  const { status, stdout } = spawnSync(process.execPath, [...process.execArgv, main, ...args, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}`);
  const report: Report = JSON.parse(stdout);
  const { bytes, seconds, peakBytes } = report;
  const gigabytes = (count: number): string => `${(count / 1e9).toFixed(2)} GB`;
  const amount = sourceBytes === undefined ? gigabytes(bytes) : `${gigabytes(sourceBytes)} -> ${gigabytes(bytes)}`;
  const pace = `${seconds.toFixed(1)} s, ${((sourceBytes ?? bytes) / 1e6 / seconds).toFixed(0)} MB/s`;
  const verdict = peakBytes <= most ? "within" : "ABOVE";
  console.log(`${what}: ${amount}, ${pace}; peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB: ${verdict} 1024`);
  return report;
}

try {
  const file = join(folder, "source.gguf");
  const written = options.direct ? undefined : run("write", undefined, "convert", options.model, file);
  const source = written === undefined ? options.model : file;
  const target = join(folder, "out.gguf");
  const quantized = run(
    `quantize to ${options.format}`,
    written?.bytes,
    ...["quantize", source, target, "--format", options.format],
  );
  process.exitCode = Math.max(written?.peakBytes ?? 0, quantized.peakBytes) <= most ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
