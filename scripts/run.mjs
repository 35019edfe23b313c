// Runs a TypeScript program of this repository from its sources: `node scripts/run.mjs FILE [arguments]`.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [file, ...rest] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node scripts/run.mjs FILE [arguments]");
  process.exit(2);
}
run(file, rest);

export function run(program, programArguments) {
  const child = spawn(
    process.execPath,
    [
      "--conditions=@polyllama/source",
      "--import",
      import.meta.resolve("tsx"),
      `${root}${program}`,
      ...programArguments,
    ],
    { stdio: "inherit" },
  );
  // The child has the terminal and decides what Ctrl-C means; this process only waits for its verdict.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => signal === "SIGTERM" && child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 143);
  });
}
