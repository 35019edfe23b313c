// `npm test`: formatting and lint, types, unused code, documentation of what is exported, then all suites. Ends with
// one line that sums them. Arguments go to vitest, and then only the suites are run: `npm test -- packages/core`.
// `npm test -- --full` adds the tests that take long.
import "./setup.mjs";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const given = process.argv.slice(2);
if (given.includes("--help") || given.includes("-h")) {
  console.log("usage: npm test -- [--full] [arguments of vitest run, such as packages/core or -t NAME]");
  process.exit(0);
}
const filters = given.filter((argument) => argument !== "--full");
// read by vitest.config.ts and packages/test-support/src/full.ts
if (filters.length < given.length) process.env.POLYLLAMA_TEST_FULL = "1";

const bin = (name) => join(root, "node_modules", ".bin", process.platform === "win32" ? `${name}.cmd` : name);
const run = (name, ...rest) =>
  spawnSync(bin(name), rest, { cwd: root, stdio: "inherit", shell: process.platform === "win32" }).status === 0;

/** Runs a command and keeps what it writes. */
async function read(name, ...rest) {
  const child = spawn(bin(name), rest, { cwd: root, shell: process.platform === "win32" });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [status] = await once(child, "close");
  return { status, output };
}

let passed = 0;
let failed = 0;
let skipped = 0;

if (filters.length === 0) {
  const checks = [
    ["biome", "check", "."],
    ["tsx", "scripts/lint/main.ts"],
    ["tsc", "--noEmit", "-p", "tsconfig.json"],
    ["tsc", "--noEmit", "-p", "apps/browser/tsconfig.json", "--customConditions", "@polyllama/source"],
    ["knip"],
    ["typedoc", "--emit", "none"],
  ];
  // Two at a time; each writes when it has ended.
  const next = checks.values();
  const work = async () => {
    for (const [name, ...rest] of next) {
      const { status, output } = await read(name, ...rest);
      console.log(`${output}${status === 0 ? "passed" : "FAILED"}: ${[name, ...rest].join(" ")}`);
      if (status === 0) passed++;
      else failed++;
    }
  };
  await Promise.all([work(), work()]);
}

const folder = mkdtempSync(join(tmpdir(), "polyllama-test-"));
try {
  const report = join(folder, "vitest.json");
  const ok = run("vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...filters);
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  // A file that fails before its first test has no failed tests of its own, and still is a failure.
  const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
  passed += numPassedTests;
  failed += numFailedTests + broken;
  skipped += numPendingTests;
  if (!ok && failed === 0) failed++;
  const seconds = ({ startTime, endTime }) => Math.round((endTime - startTime) / 1000);
  const slowest = testResults.toSorted((a, b) => seconds(b) - seconds(a)).slice(0, 15);
  console.log("\nseconds by file, three files at a time:");
  for (const file of slowest) console.log(`${String(seconds(file)).padStart(5)}  ${relative(root, file.name)}`);
} finally {
  rmSync(folder, { recursive: true });
}

console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
