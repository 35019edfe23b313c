// Which cases are left out where time is short, by what their addresses say.

import { trainingOps } from "@polyllama/core";

const large =
  /^model:(vocabulary:|layer:model=llama-2-(13b|70b|7b;format=q4_k)|(paths|end-to-end):model=k-quants)|^op:attention:.*past=(700|4160);/;

/** What is computed of training at the sizes of a model. */
const isPublished = /^op:.*model=llama-2-/;

/**
 * The sizes of 13B, 70B and real vocabularies, those of 7B in other formats than q4_0, and long texts beyond the first,
 * which take a software adapter seconds each.
 */
export function isLarge(address: string): boolean {
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  if (isPublished.test(address) || large.test(address)) return true;
  return Number(k) * Number(m) > (address.includes("format=q4_0;") ? 2 ** 24 : 2 ** 20);
}

/** What is computed of training, whatever a backend does to the inputs of linears otherwise. */
export function isOfTraining(address: string): boolean {
  const [suite, name] = address.split(":", 2);
  return suite === "training" || trainingOps.some((op) => suite === "op" && op === name);
}

/**
 * A sample of single operations that has every operation, format and kind of input at small sizes, for environments in
 * which what computes is what computes elsewhere.
 */
export function isSample(address: string): boolean {
  const [, k = "1", m = "1"] = /\bk=(\d+);m=(\d+)/.exec(address) ?? [];
  const short = Number(k) * Number(m) <= 2 ** 12 || /;n=(1|5);k=512;/.test(address);
  return (
    address.startsWith("op:") && !isPublished.test(address) && short && !/;d=4096|past=4095|scenario=long/.test(address)
  );
}
