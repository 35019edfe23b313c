// `npm run kill:convert`: kills conversions of a large model at random moments, and checks that nothing they leave loads wrongly.
// The tests do the same with a small one.

import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { killConversions } from "../packages/cli/test/kill.ts";

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "synthetic://llama-2-7b?layers=1&format=f16" },
    format: { type: "string", default: "q4_0" },
    times: { type: "string", default: "10" },
    /** Longest time from the first byte to the kill, in seconds. */
    within: { type: "string", default: "10" },
    folder: { type: "string", default: tmpdir() },
  },
});
const { problems, killed } = await killConversions({
  source: options.model,
  format: options.format,
  times: Number(options.times),
  within: 1000 * Number(options.within),
  folder: options.folder,
});
for (const problem of problems) console.log(problem);
console.log(`killed ${killed} of ${options.times} times while writing: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
