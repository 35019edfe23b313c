#!/usr/bin/env node
// The program `polyllama`. It ends by itself once its output has been taken, also where something that was loaded keeps
// a handle open, such as a standard input that never ends.

import { run } from "./index.ts";

const code = await run(process.argv.slice(2));
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", () => undefined); // whoever read it has left, or has been told
  await new Promise((resolve) => stream.write("", resolve));
}
process.exit(code);
