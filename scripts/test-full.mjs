// `npm run test:full`: everything that takes longer than `npm test` may. Each step prints what it prints; its last
// line, its time and the machine go into the table of docs/test-full.md, in the place of the row that the step had
// there. A step that was not run keeps its old row, whose date says how old it is.
import "./setup.mjs";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { readArguments } from "./arguments.mjs";

const steps = {
  tests: ["npm test -- --full", 60],
  cpu: ["npm run conformance -- --backend cpu", 30],
  "cpu-int8": ["npm run conformance -- --backend cpu-int8", 30],
  onnxruntime: ["npm run conformance -- --backend onnxruntime", 30],
  "onnxruntime-int8": ["npm run conformance -- --backend onnxruntime-int8", 30],
  webgpu: ["npm run conformance:webgpu", 240],
  "llama-cpp": ["npm run conformance:llama-cpp", 60],
  clean: ["npm run conformance:mutants -- --clean-runs 20", 60],
  fuzz: ["npm run fuzz -- --minutes 10", 15],
  kills: ["npm run kill:convert", 30],
};
steps["faults-native"] = ["npm run conformance:mutants -- --native", 60];
steps["sanitize-cpu"] = ["npm run sanitize:cpu", 60];
steps["arm64-cpu"] = ["npm run arm64:cpu", 120];
for (const target of [
  "reference",
  "cpu",
  "onnxruntime",
  "core",
  "formats",
  "planner",
  "vocabulary",
  "polyllama",
  "checkpoints",
  "cli",
  "webgpu",
  "cuda",
  "training",
]) {
  steps[`faults-${target}`] = [`npm run conformance:mutants -- --target ${target}`, 120];
}

const { only, list } = readArguments(
  "npm run test:full",
  "Runs what takes longer than npm test, and keeps the results in docs/test-full.md.",
  {
    only: { type: "string", multiple: true, about: `a step: ${Object.keys(steps).join(", ")}` },
    list: { type: "boolean", default: false, about: "print the steps and run none" },
  },
);
const unknown = (only ?? []).find((name) => !(name in steps));
if (unknown !== undefined) {
  process.stderr.write(`error: there is no step ${unknown}; there are ${Object.keys(steps).join(", ")}\n`);
  process.exit(2);
}
if (list) {
  for (const [name, [command]] of Object.entries(steps)) console.log(`${name.padEnd(20)}${command}`);
  process.exit(0);
}

const page = fileURLToPath(new URL("../docs/test-full.md", import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));
const commit =
  spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout?.trim() || "?";
let failed = 0;
for (const name of only ?? Object.keys(steps)) {
  const [command, minutes] = steps[name];
  console.log(`\n== ${name}: ${command}\n`);
  const started = Date.now();
  const { ok, last } = await run(command, minutes);
  if (!ok) failed++;
  record(name, {
    command: `\`${command}\``,
    result: `${ok ? "passed" : "FAILED"}: ${last.replaceAll("|", "\\|")}`,
    minutes: ((Date.now() - started) / 60_000).toFixed(1),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? "?"}`,
    date: `${new Date().toISOString().slice(0, 10)}, ${commit}`,
  });
}
console.log(failed === 0 ? "every step passed" : `${failed} steps failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Runs a command to its end, or to its time limit, shows what it prints and keeps the last line of it. */
function run(command, minutes) {
  const [program, ...rest] = command.split(" ");
  const windows = process.platform === "win32";
  const child = spawn(program, rest, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    shell: windows,
    detached: !windows,
  });
  let last = "nothing printed";
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    process.stdout.write(chunk);
    const lines = (text + chunk).split("\n");
    text = lines.pop();
    for (const line of lines) if (line.trim() !== "") last = stripVTControlCharacters(line).trim();
  });
  let ending = "";
  const end = (reason) => {
    ending = reason;
    if (windows) child.kill();
    else process.kill(-child.pid, "SIGKILL");
  };
  const limit = setTimeout(() => end(`ended after ${minutes} minutes`), 60_000 * minutes);
  const interrupted = () => end("interrupted");
  process.once("SIGINT", interrupted);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(limit);
      process.removeListener("SIGINT", interrupted);
      if (ending === "interrupted") process.exit(130);
      resolve({ ok: code === 0, last: ending || last });
    });
  });
}

/** Puts a step's row into the table, at the place that the steps' order gives it. */
function record(name, cells) {
  const [head, table = "", tail = ""] = readFileSync(page, "utf8").split(/<!-- (?:results|end) -->\n/);
  const rows = new Map(
    table
      .split("\n")
      .slice(2)
      .filter((line) => line !== "")
      .map((line) => [/^\| (\S+) \|/.exec(line)?.[1], line]),
  );
  rows.set(name, `| ${[name, ...Object.values(cells)].join(" | ")} |`);
  const lines = Object.keys(steps).flatMap((step) => rows.get(step) ?? []);
  const header = "| step | command | result | minutes | machine | date, commit |\n|---|---|---|---|---|---|\n";
  writeFileSync(page, `${head}<!-- results -->\n${header}${lines.join("\n")}\n<!-- end -->\n${tail}`);
}
