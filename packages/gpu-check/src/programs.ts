// Other programs that a check of a GPU uses where they are installed: NVIDIA's compute-sanitizer, and PyTorch to
// compare with.

import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Finished {
  readonly code: number | undefined;
  readonly output: string;
  readonly stdout: string;
  readonly timedOut: boolean;
}

/** Path of a program in PATH. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Runs a program to its end, or for so long. */
function runProgram(
  path: string,
  args: readonly string[],
  { seconds, signal }: { readonly seconds: number; readonly signal: AbortSignal },
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const options = { timeout: Math.ceil(seconds * 1000), killSignal: "SIGKILL", maxBuffer: 2 ** 26, signal } as const;
    execFile(path, args, options, (error, stdout, stderr) => {
      if (signal.aborted) return reject(signal.reason);
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : undefined;
      resolve({ code, stdout, output: `${stdout}${stderr}`, timedOut: error?.killed === true });
    });
  });
}

export type Sanitized = { readonly errors: number; readonly summary: string } | { readonly notRun: string };

/** Runs this program again, with these arguments, under compute-sanitizer, which reports wrong accesses of kernels. */
export async function sanitize(
  program: string | undefined,
  self: readonly string[],
  limits: { readonly seconds: number; readonly signal: AbortSignal },
): Promise<Sanitized> {
  if (program === undefined) return { notRun: "compute-sanitizer is not in PATH" };
  const { output, timedOut } = await runProgram(program, ["--tool", "memcheck", ...self], limits);
  const [, count] = /ERROR SUMMARY: (\d+) error/.exec(output) ?? [];
  if (count !== undefined) {
    const found = output.split("\n").filter((line) => line.startsWith("========="));
    return { errors: Number(count), summary: found.slice(0, 20).join("\n") };
  }
  return {
    notRun: timedOut ? "it took too long" : `it ended without a summary: ${output.trim().split("\n").at(-1) ?? ""}`,
  };
}

export interface TorchResult {
  readonly torch: string;
  readonly transformers: string;
  readonly measurements: readonly {
    /** "matmul", "eager" or "compiled". */
    readonly mode: string;
    readonly what: string;
    readonly value?: number;
    readonly notRun?: string;
  }[];
}

const comparison = fileURLToPath(new URL("../python/llama_7b.py", import.meta.url));

/** Why PyTorch cannot be compared with, or undefined where it can. */
export async function torchMissing(
  python: string | undefined,
  limits: { readonly seconds: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  if (python === undefined) return "python3 is not in PATH";
  const probe = 'import torch, transformers; assert torch.cuda.is_available(), "PyTorch sees no card"';
  const { code, output, timedOut } = await runProgram(python, ["-c", probe], limits);
  if (code === 0) return undefined;
  return timedOut ? "importing PyTorch took too long" : (output.trim().split("\n").at(-1) ?? "PyTorch failed");
}

export async function runTorch(
  python: string,
  limits: { readonly seconds: number; readonly signal: AbortSignal },
): Promise<TorchResult | { readonly notRun: string }> {
  const own = Math.max(1, limits.seconds - 45); // what it has begun it ends
  const { code, stdout, output, timedOut } = await runProgram(python, [comparison, "--seconds", String(own)], limits);
  const lines = stdout.trim().split("\n");
  const found = lines.filter((line) => line.startsWith("{") && line.endsWith("}")).at(-1);
  const notRun = timedOut ? "it took too long" : (output.trim().split("\n").at(-1) ?? `it ended with ${code}`);
  if (found === undefined) return { notRun };
  const result: TorchResult = JSON.parse(found); // its own output, in this form
  if (code === 0) return result;
  return { ...result, measurements: [...result.measurements, { mode: "", what: "the rest", notRun }] };
}
