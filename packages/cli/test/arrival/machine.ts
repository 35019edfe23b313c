// The machine as doctor, inspect and gpu-check find it: two cards, and no WebGPU.

import type { Backend } from "@polyllama/core";
import type { SuiteOptions } from "../../src/gpu/suite.ts";
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

export const suiteModule: object = {
  async runSuite({ name }: Backend, { seconds, seed }: SuiteOptions) {
    record("suite", { name, seconds, seed });
    const counts = { total: 1, ran: 1, passed: 1, unsupported: 0, worst: 0, seconds: 0 };
    return { backend: name, device: "fake", ...counts, failures: [], notReached: [] };
  },
};

export const processModule: object = {
  findProgram: () => undefined,
  torchMissing: async () => "no torch",
  async sanitize(_: undefined, self: readonly string[]) {
    record("sanitize", { device: self.at(-3), seed: self.at(-1) });
    return { errors: 0, summary: "" };
  },
};

export const benchModule: object = {
  async runTask(_: Backend, { label, model }: { readonly label: string; readonly model: string }) {
    record("task", { model });
    return { label, measurements: [] };
  },
};
