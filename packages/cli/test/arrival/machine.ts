// The machine as doctor and inspect find it: two cards, and no WebGPU.

import { record } from "./record.ts";

export const probeModule: object = {
  async probe(name: string, { verbose, seconds }: { readonly verbose: boolean; readonly seconds: number }) {
    record("probe", { name, verbose, seconds });
    return { reason: "no adapter" };
  },
};

const card = (number: number): object => ({
  available: true,
  number,
  device: "fake",
  computeCapability: "9.0",
  driver: "13.0",
  memory: { free: 2 ** 34, total: 2 ** 34 },
});
export const cardsModule: object = { cudaCards: async () => ({ available: true, cards: [card(0), card(2)] }) };
