// The process that tests kill: a small run that goes on with what its folder has, and tells each event in a line.

import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import { smallRun } from "./small-run.ts";

const [folder = "", backend] = process.argv.slice(2);
await using device = backend === "cpu" ? cpu() : reference();
await smallRun(folder, {
  device,
  resume: true,
  onEvent: ({ kind, step }) => void process.stdout.write(`${kind} ${step}\n`),
});
