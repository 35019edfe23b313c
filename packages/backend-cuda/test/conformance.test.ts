// The suite of the whole project, on the emulated card: every operation in every format, chains as they are fused, and
// the small models. Cases that take the emulation longer than seconds are left out: the published models' matrices and
// layers, and prompts of thousands of rows; `npm run conformance` has them. Caches in q8_0 are refused.

import { conformanceCases } from "@polyllama/conformance";
import { expect, test } from "vitest";
import { cuda } from "../src/index.ts";
import { describeWithEmulation, emulated } from "./support.ts";

const large =
  /[kd]=(4096|5120|8192|11008|13824|28672)\b|n=515|scenario=long|model=llama|heads=(40|64)|v=32000|cache=q8_0/;
/** Most of a chain's time goes into sixteen runs of the reference. */
const chains = /norm-qkv|norm-logits|format=(bf16|q4_k|q6_k)|scaling=none;scenario=(ragged|prefill-decode|rewind)/;
/** Tiles of tensor cores, of every format in every order. */
const tiles = /op:linear:.*;n=97;/;
/** Several sequences in a step, prompts in pieces, layers as they are fused, inner values between generations. */
const paths = /^path:(mixed:format=f32;sequences=5|chunked:sequences=3|fused:format=q4_0|inner:order=without)/;
/** Prompts, small ones of every format, for linears in f32. */
const prompts = /op:linear:.*;n=(17|33);k=(64|96|172|256);/;
/** Gradients of whole models: several query heads with one key, layers computed again, batches in parts. And a run. */
const training = /^training:(gradients:model=(multi-query|recomputed|accumulated)|losses:)/;
/** What training multiplies on tensor cores, and a run of twenty steps. */
const products = /^op:linear(InputGrad|WeightGrad):|^training:(gradients:model=accumulated|losses:)/;
const everyNth = (index: number, n: number): boolean => index % n === 0;

await describeWithEmulation("conformance", (emulation) => {
  const cases = conformanceCases().filter(({ address, slow = false }) => !slow && !large.test(address));
  const ops = cases.filter(({ address }) => address.startsWith("op:"));
  const chosen = [
    {
      order: "forward",
      list: [
        ...ops,
        ...cases.filter(
          ({ address }) => /^model:(nodes|overflow)/.test(address) || paths.test(address) || training.test(address),
        ),
      ],
    },
    {
      order: "backward",
      list: [
        ...ops.filter(({ address }, i) => everyNth(i, 9) || tiles.test(address)),
        ...cases.filter(({ address }) => address.startsWith("chain:") && chains.test(address)),
      ],
    },
    {
      order: "random",
      list: [
        ...ops.filter(({ address }, i) => everyNth(i, 7) || tiles.test(address)),
        ...cases.filter(({ address }) =>
          /^model:(end-to-end:model=small-heads|repetition:model=grouped)/.test(address),
        ),
      ],
    },
    { order: "random", activations: "f32", list: ops.filter(({ address }) => prompts.test(address)) },
    { order: "random", training: "bf16", list: cases.filter(({ address }) => products.test(address)) },
  ] as const;
  for (const { order, list, ...options } of chosen) {
    const groups = new Map<string, typeof cases>();
    for (const entry of list) {
      const group = [entry.address.split(":", 2).join(":"), ...Object.values(options)].join(" ");
      groups.set(group, [...(groups.get(group) ?? []), entry]);
    }
    for (const [group, members] of groups) {
      test(`${group}, ${members.length} cases, threads ${order}`, { timeout: 240_000 }, async () => {
        emulation.control.reset();
        emulation.control.order(order);
        const backend = cuda({ ...emulated(emulation), ...options });
        const failures: string[] = [];
        for (const { address, run } of members) {
          const { status, detail } = await run(backend, 1);
          if (status !== "passed") failures.push(`${address}: ${status} ${detail} ${emulation.control.reports()}`);
          if (emulation.control.reports() !== "") break;
        }
        expect(failures).toEqual([]);
        await backend[Symbol.asyncDispose]();
        expect(emulation.control.live()).toBe(0);
      });
    }
  }
});
