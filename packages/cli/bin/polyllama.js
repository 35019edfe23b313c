#!/usr/bin/env node
// Starts the program `polyllama`: in a clone of the repository from its sources, which need no build, and in an
// installed package from what was built of them.

import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`polyllama needs Node 20.19 or later; this is ${process.versions.node}.`);
  process.exit(1);
}

const runner = new URL("../../../scripts/run-source.mjs", import.meta.url);
if (existsSync(new URL("../src/main.ts", import.meta.url)) && existsSync(runner)) {
  const { runSource } = await import(runner.href);
  runSource("packages/cli/src/main.ts", process.argv.slice(2));
} else {
  await import(new URL("../dist/main.js", import.meta.url).href);
}
