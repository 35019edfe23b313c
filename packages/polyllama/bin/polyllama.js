#!/usr/bin/env node
// `npx polyllama ...` starts the command line, which is a package of its own so that programs that use the library do
// not install what only a terminal needs. Where @polyllama/cli is not installed, npm runs it for this once, in this
// version.

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`polyllama needs Node 20.19 or later; this is ${process.versions.node}.`);
  process.exit(1);
}

const main = installed(import.meta.url) ?? installed(pathToFileURL(join(process.cwd(), "package.json")).href);
if (main !== undefined) await import(pathToFileURL(main).href);
else runWithNpm();

/** @param {string} from URL of a file whose `node_modules` count. */
function installed(from) {
  try {
    return createRequire(from).resolve("@polyllama/cli/main");
  } catch {
    return undefined;
  }
}

function runWithNpm() {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const cli = `@polyllama/cli@${version}`;
  if (process.env.POLYLLAMA_STARTED_BY_NPM === cli) {
    console.error(`polyllama: npm did not provide ${cli}. Install it: npm install ${cli}`);
    process.exit(1);
  }
  console.error(
    `polyllama: @polyllama/cli is not installed here; running it with: npm exec --package=${cli} -- polyllama`,
  );
  const npm = findNpm();
  const rest = ["exec", "--yes", `--package=${cli}`, "--", "polyllama", ...process.argv.slice(2)];
  const env = { ...process.env, POLYLLAMA_STARTED_BY_NPM: cli };
  const child = npm
    ? spawn(process.execPath, [npm, ...rest], { stdio: "inherit", env })
    : spawn("npm", rest, { stdio: "inherit", env });
  // The child shares the terminal and decides what Ctrl-C means; this process only waits for its verdict.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", ({ message }) => {
    console.error(`polyllama: npm could not be started (${message}). Install the command: npm install ${cli}`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 143);
  });
}

/** npm's own program, since Windows has no `npm` that can be started without a shell. */
function findNpm() {
  const running = process.env.npm_execpath ?? "";
  const node = dirname(process.execPath);
  const candidates = [
    ...(/^np[mx]-cli\.[cm]?js$/.test(basename(running)) ? [join(dirname(running), "npm-cli.js")] : []),
    join(node, "node_modules", "npm", "bin", "npm-cli.js"),
    join(node, "..", "lib", "node_modules", "npm", "bin", "npm-cli.js"),
  ];
  return candidates.find((path) => existsSync(path));
}
