// `npm run kill:convert`: kills conversions of a large model at random moments, and checks that nothing they leave
// loads wrongly. The tests do the same with a small one.

import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { killConversions } from "@polyllama/test-support/kill-conversions";
import { readArguments } from "../scripts/arguments.mjs";

const options = readArguments(
  "npm run kill:convert",
  "Kills conversions at random moments and looks at what they leave.",
  {
    model: { type: "string", default: "synthetic://llama-2-7b?layers=1&format=f16", about: "source" },
    format: { type: "string", default: "q4_0", about: "format to write" },
    times: { type: "string", default: "10", about: "how often" },
    /** Longest time from the first byte to the kill, in seconds. */
    within: { type: "string", default: "10", about: "longest time from the first byte to the kill, in seconds" },
    folder: { type: "string", default: tmpdir(), about: "folder to work in" },
  },
);
const main = fileURLToPath(new URL("../packages/cli/src/main.ts", import.meta.url));
const { problems, killed } = await killConversions({
  program: ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx"), main],
  source: options.model,
  format: options.format,
  times: Number(options.times),
  within: 1000 * Number(options.within),
  folder: options.folder,
});
for (const problem of problems) console.log(problem);
console.log(`killed ${killed} of ${options.times} times while writing: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
