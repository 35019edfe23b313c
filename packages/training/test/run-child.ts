// The process that tests kill: a small run that goes on with what its folder has, and tells each event in a line.

import { smallRun } from "./small-run.ts";

const [folder = ""] = process.argv.slice(2);
await smallRun(folder, {
  resume: true,
  onEvent: ({ kind, step }) => void process.stdout.write(`${kind} ${step}\n`),
});
