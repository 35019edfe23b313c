// All ways to the same rows of a text: decode, chunks, rewinds, forks, batches. Each gives logits within the tolerance
// of the exact ones.

import type { KvCache, Tensor, Wanted } from "@polyllama/core";
import { at, both, exact } from "../comparison/measure.ts";
import { measureTolerance, toleranceRows } from "../comparison/tolerance.ts";
import { support } from "../support.ts";
import { drawModel, logitsTolerance, type ModelCheck, rows } from "./small.ts";

export const checkWays: ModelCheck = async (backend, model, stream) => {
  const drawn = drawModel(model, stream);
  const { tokens } = drawn;
  const supported = await support(backend, drawn);
  if (supported.status !== "supported") return supported;
  await using program = supported.program;
  const tolerance = await logitsTolerance(drawn, backend);
  const cacheOf = (): KvCache => program.createCache(model.config.contextLength);

  let finding = exact;
  const check = (way: string, first: number, logits: Tensor): void => {
    const known = toleranceRows(tolerance, first, logits.shape[0]);
    finding = both(finding, at(`${way}, from row ${first} on`, measureTolerance(logits, known)));
  };
  const run = async (way: string, cache: KvCache, first: number, count: number): Promise<void> => {
    const inputs = { tokens: tokens.slice(first, first + count) };
    const [logits] = (await program.run({ inputs, batch: [{ rows: count, cache }] }, ["logits"])) as [Tensor];
    check(way, first, logits);
  };

  using decoded = cacheOf();
  for (let n = 0; n < rows; n++) await run("decode", decoded, n, 1);

  using chunked = cacheOf();
  const sizes = [1, 7, 13, 3];
  for (const [i, size] of sizes.entries()) {
    await run(
      "chunks",
      chunked,
      sizes.slice(0, i).reduce((sum, before) => sum + before, 0),
      size,
    );
  }

  using last = cacheOf();
  const lastRow: Wanted = { value: "logits", rows: "last" };
  const whole = { inputs: { tokens }, batch: [{ rows, cache: last }] };
  const [only] = (await program.run(whole, [lastRow])) as [Tensor];
  check("last row alone", rows - 1, only);

  using rewound = cacheOf();
  await run("prefill", rewound, 0, 20);
  rewound.truncate(9);
  await run("rewind", rewound, 9, 6);
  using forked = await rewound.fork();
  await run("fork", forked, 15, 9);
  await run("parent of a fork", rewound, 15, 2);

  // Two sequences in one step, one of them in the middle of its text.
  using a = cacheOf();
  await run("prefill", a, 0, 10);
  using b = cacheOf();
  const inputs = { tokens: Int32Array.from([...tokens.slice(10, 14), ...tokens.slice(0, 5)]) };
  const batch = [
    { rows: 4, cache: a },
    { rows: 5, cache: b },
  ];
  const [both_] = (await program.run({ inputs, batch }, ["logits"])) as [Tensor];
  const width = both_.shape[1];
  check("batch, first", 10, { shape: [4, width], data: both_.data.subarray(0, 4 * width) });
  check("batch, second", 0, { shape: [5, width], data: both_.data.subarray(4 * width) });
  return finding;
};
