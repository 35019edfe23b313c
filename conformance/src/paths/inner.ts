// Inner values between the steps of generations, as conformance itself and readers of hidden states ask for them:
// without caches and with, in both orders, and then decoding on the same program. What serves one kind of run must not
// serve the other.

import type { ValueName } from "@polyllama/core";
import type { ConformanceCase } from "../case.ts";
import { combinations } from "../combine.ts";
import { smallConfig } from "../small-config.ts";
import { pathCase, walk } from "./path-case.ts";

const asked: readonly (readonly ValueName[])[] = [
  ["layers.0.attention"],
  ["layers.1.q_rope", "layers.0.swiglu"],
  [],
  ["layers.0.h", "norm"],
];

/** Which kind of run comes first: without caches or with them. */
const orders = combinations.combine("order", ["without", "with"]);

export function innerCases(): readonly ConformanceCase[] {
  return orders.map(({ order }) =>
    pathCase("inner", { order }, (device, seed) =>
      walk(device, seed, {
        model: { config: smallConfig, format: "q8_0" },
        lengths: [24, 30],
        values: ["logits", ...asked.flat()],
        async steps(play, [first, second]) {
          for (const values of asked) {
            const name = values.length === 0 ? "nothing" : values.join(", ");
            const last = values.map((value) => ({ value, rows: "last" as const }));
            if (order === "without") await play.apart(`${name} without caches`, second!, 15, values);
            const sequence = play.open(first!);
            await play.step(`${name} of a prompt`, [{ sequence, rows: 9 }], values);
            await play.step(`logits behind ${name}`, [{ sequence, rows: 1 }]);
            await play.step(`last rows of ${name}`, [{ sequence, rows: 3 }], last);
            await play.step(`${name} in decoding`, [{ sequence, rows: 1 }], values);
            if (order === "with") await play.apart(`${name} without caches`, second!, 15, values);
            await play.step(`decode behind ${name}`, [{ sequence, rows: 1 }], ["logits"]);
          }
        },
      }),
    ),
  );
}
