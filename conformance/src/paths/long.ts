// Positions beyond 1,024 and 8,192, in a model of one layer: what is read there, decoded, rewound and forked. The rows
// before only fill caches, on the reference too.

import type { ConformanceCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { narrowConfig } from "../small-config.ts";
import { pathCase, walk } from "./path-case.ts";
import type { PathModel } from "./truth.ts";

const model: PathModel = { config: { ...narrowConfig, ropeTheta: 1e6 }, format: "f32" };

export function longCases(): readonly ConformanceCase[] {
  return combinations.combine("positions", [1_100, 8_250]).map(({ positions }) =>
    pathCase(
      "long",
      { positions },
      (device, seed) =>
        walk(device, seed, {
          model,
          lengths: [positions],
          first: positions - 80,
          capacity: positions + 3,
          async steps(play, [text]) {
            const parent = play.open(text!, 4);
            await play.step("the last row of a prompt", [{ sequence: parent, rows: positions - 30 }]);
            const child = play.fork(parent);
            await play.step("decode a fork", [{ sequence: child, rows: 1 }]);
            play.rewind(parent, positions - 70);
            await play.step("read on behind a rewind", [{ sequence: parent, rows: 20 }], ["logits"]);
            const grandchild = play.fork(child);
            await play.step("a fork of a fork, its parents beside it", [
              { sequence: grandchild, rows: 4 },
              { sequence: parent, rows: 1 },
              { sequence: child, rows: 1 },
            ]);
            await play.step(
              "decode them all",
              [child, grandchild, parent].map((sequence) => ({ sequence, rows: 1 })),
            );
          },
        }),
      { slow: positions > 4_096 },
    ),
  );
}
