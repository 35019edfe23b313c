// `npm run bench:formats`: the speed of the quantizers, on one thread and on several; figures are medians. How fast a
// model decodes in each format, `npm run bench:cpu` prints.

import { loadavg } from "node:os";
import { createQuantizerPool } from "@polyllama/checkpoints";
import { quantizedFormats, quantizeRows } from "@polyllama/formats";
import { readArguments } from "../scripts/arguments.mjs";
import { median } from "./support.ts";

const options = readArguments("npm run bench:formats", "Speed of the quantizers.", {
  threads: { type: "string", default: "2", about: "threads" },
  "quantize-millions": { type: "string", default: "16", about: "millions of values that each quantizer is given" },
});
const threads = Number(options.threads);

console.log(`Quantizers, MB of f32 read a second, medians of 3; load average ${loadavg()[0]?.toFixed(1)}`);
console.log(`| target | 1 thread | ${threads} threads |`);
console.log("|---|---|---|");
const values = Float32Array.from({ length: Number(options["quantize-millions"]) * 2 ** 20 }, bellShaped);
for (const format of quantizedFormats) {
  await using pool = createQuantizerPool({ threads });
  const single = await megabytesPerSecond(async () => quantizeRows(values, format));
  const several = await megabytesPerSecond(() => pool.quantize(values, format));
  console.log(`| ${format} | ${single.toFixed(0)} | ${several.toFixed(0)} |`);
}

/** Sums of three uniform numbers, of the size of a trained matrix's elements. */
function bellShaped(): number {
  return 0.02 * (Math.random() + Math.random() + Math.random() - 1.5);
}

async function megabytesPerSecond(quantize: () => Promise<unknown>): Promise<number> {
  await quantize(); // compiles it, and starts threads
  const speeds: number[] = [];
  for (let run = 0; run < 3; run++) {
    const started = performance.now();
    await quantize();
    speeds.push(values.byteLength / 1e3 / (performance.now() - started));
  }
  return median(speeds);
}
