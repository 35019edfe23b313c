// The command `polyllama` as the front door has it: the command line where that is installed, else by way of npm.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const packages = fileURLToPath(new URL("../../", import.meta.url));
const { version } = JSON.parse(readFileSync(join(packages, "polyllama", "package.json"), "utf8"));
let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "polyllama-bin-"));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = scratch) {
  const options = { cwd, env: { ...process.env, ...env }, encoding: "utf8", timeout: 110_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], options);
  return { status, stdout, stderr };
}

test.each(["polyllama", "cli"])("in a clone, the command of packages/%s runs the sources", (name) => {
  const { status, stdout, stderr } = run(join(packages, name, "bin", "polyllama.js"), ["--version"]);
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  expect(run(join(packages, name, "bin", "polyllama.js"), ["nonsense"]).status).toBe(2);
});

describe("where @polyllama/cli is not installed", () => {
  let bin: string;
  let npm: string;

  beforeAll(() => {
    const folder = join(scratch, "alone");
    for (const name of ["bin", "package.json"]) {
      cpSync(join(packages, "polyllama", name), join(folder, name), { recursive: true });
    }
    bin = join(folder, "bin", "polyllama.js");
    npm = join(scratch, "npm-cli.js");
    writeFileSync(npm, "console.log(JSON.stringify(process.argv.slice(2))); process.exit(7);");
  });

  test("npm runs it in the same version, which is said, and its exit code counts", () => {
    const { status, stdout, stderr } = run(bin, ["parity", "--text", "a b"], { npm_execpath: npm });
    const cli = `--package=@polyllama/cli@${version}`;
    expect(JSON.parse(stdout)).toEqual(["exec", "--yes", cli, "--", "polyllama", "parity", "--text", "a b"]);
    expect(stderr).toMatch(/^polyllama: @polyllama\/cli is not installed here; running it with: npm exec .*\n$/);
    expect(status).toBe(7);
  });

  test("an npm that does not provide it ends in a message, not in a circle", () => {
    writeFileSync(
      npm,
      `import { spawnSync } from "node:child_process";
      process.exit(spawnSync(process.execPath, [${JSON.stringify(bin)}], { stdio: "inherit" }).status);`,
    );
    writeFileSync(join(scratch, "package.json"), '{ "type": "module" }');
    const { status, stderr } = run(bin, [], { npm_execpath: npm });
    expect(stderr).toMatch(/npm did not provide @polyllama\/cli@\S+\. Install it: npm install @polyllama\/cli@/);
    expect(status).toBe(1);
  });

  test("one that the current folder has is used", () => {
    const project = join(scratch, "project");
    const cli = join(project, "node_modules", "@polyllama", "cli");
    mkdirSync(cli, { recursive: true });
    writeFileSync(join(cli, "package.json"), '{ "type": "module", "exports": { "./main": "./main.js" } }');
    writeFileSync(join(cli, "main.js"), "console.log(process.argv.slice(2).join());");
    const found = run(bin, ["a", "b"], { npm_execpath: npm }, project);
    expect(found).toEqual({ status: 0, stdout: "a,b\n", stderr: "" });
  });
});
