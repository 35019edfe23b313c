// Runs a TypeScript program of this repository from its sources, with the packages' source export condition, and with
// the software Vulkan driver of `npm run setup:system` where there is no other: a driver has to be named before a
// process starts. On the command line: `node scripts/run-source.mjs FILE [arguments]`. Paths among the arguments mean
// the folder that npm was called in, not that of the workspace whose script this is.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { vulkanFallback } from "./system.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

export function runSource(program, programArguments) {
  const loader = import.meta.resolve("tsx");
  const nodeArguments = ["--conditions=@polyllama/source", "--import", loader, root + program, ...programArguments];
  const child = spawn(process.execPath, nodeArguments, {
    cwd: process.env.INIT_CWD ?? process.cwd(),
    stdio: "inherit",
    env: { ...process.env, ...vulkanFallback() },
  });
  // The child shares the terminal and decides what Ctrl-C means; this process only waits for its verdict.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 143);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, ...rest] = process.argv.slice(2);
  if (file === undefined) {
    console.error("usage: node scripts/run-source.mjs FILE [arguments]");
    process.exit(2);
  }
  runSource(file, rest);
}
