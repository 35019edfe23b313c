// All ways to the same rows of a text: decode, chunks, rewinds, forks, batches. Each gives logits within the tolerance
// of the exact ones.

import type { Tensor } from "@polyllama/core";
import type { SequenceCache, Wanted } from "@polyllama/core/device";
import { at, both, exact } from "../comparison/measure.ts";
import { measureTolerance, toleranceRows } from "../comparison/tolerance.ts";
import { support } from "../support.ts";
import { drawModel, logitsTolerance, type ModelCheck, rows } from "./small.ts";

export const checkWays: ModelCheck = async (device, model, stream) => {
  const drawn = drawModel(model, stream);
  const { tokens } = drawn;
  const supported = await support(device, drawn);
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const tolerance = await logitsTolerance(drawn, device);
  const pool = loaded.pool(model.config.contextLength, { sequences: 7 });

  let finding = exact;
  const check = (way: string, first: number, logits: Tensor): void => {
    const known = toleranceRows(tolerance, first, logits.shape[0]);
    finding = both(finding, at(`${way}, from row ${first} on`, measureTolerance(logits, known)));
  };
  const run = async (way: string, cache: SequenceCache, first: number, count: number): Promise<void> => {
    const inputs = { tokens: tokens.slice(first, first + count) };
    const [logits] = (await loaded.run({ inputs, sequences: [{ rows: count, cache }] }, ["logits"])) as [Tensor];
    check(way, first, logits);
  };

  using decoded = pool.open();
  for (let n = 0; n < rows; n++) await run("decode", decoded, n, 1);

  using chunked = pool.open();
  const sizes = [1, 7, 13, 3];
  for (const [i, size] of sizes.entries()) {
    await run(
      "chunks",
      chunked,
      sizes.slice(0, i).reduce((sum, before) => sum + before, 0),
      size,
    );
  }

  using last = pool.open();
  const lastRow: Wanted = { value: "logits", rows: "last" };
  const whole = { inputs: { tokens }, sequences: [{ rows, cache: last }] };
  const [only] = (await loaded.run(whole, [lastRow])) as [Tensor];
  check("last row alone", rows - 1, only);

  using rewound = pool.open();
  await run("prefill", rewound, 0, 20);
  rewound.truncate(9);
  await run("rewind", rewound, 9, 6);
  using forked = rewound.fork();
  await run("fork", forked, 15, 9);
  await run("parent of a fork", rewound, 15, 2);

  // Two sequences in one step, one of them in the middle of its text.
  using a = pool.open();
  await run("prefill", a, 0, 10);
  using b = pool.open();
  const inputs = { tokens: Int32Array.from([...tokens.slice(10, 14), ...tokens.slice(0, 5)]) };
  const sequences = [
    { rows: 4, cache: a },
    { rows: 5, cache: b },
  ];
  const [both_] = (await loaded.run({ inputs, sequences }, ["logits"])) as [Tensor];
  const width = both_.shape[1];
  check("batch, first", 10, { shape: [4, width], data: both_.data.subarray(0, 4 * width) });
  check("batch, second", 0, { shape: [5, width], data: both_.data.subarray(4 * width) });
  return finding;
};
