// The ends of a model with the vocabularies of Chinese-LLaMA, 49,953 tokens, which is odd and no multiple of any tile, and
// Chinese-LLaMA-2, 55,296, at 7B's dimensions: the rows of the table, the logits, and the choice of a token, first and last
// ids included. The layers between do not know the vocabulary and are left out.

import { compileReference } from "@polyllama/backend-reference";
import {
  type Backend,
  buildGraph,
  createSampler,
  type Graph,
  llamaGraph,
  mostProbable,
  type PresetName,
  presets,
} from "@polyllama/core";
import { formatAddress } from "./address.ts";
import { type CaseResult, compare, type Finding, guarded } from "./case.ts";
import { random } from "./random.ts";
import { type MemoryWeight, memoryWeights, randomWeights, takeWeightRows } from "./weights.ts";

interface VocabularyCase {
  readonly address: string;
  run(backend: Backend, seed: number): Promise<CaseResult>;
}

export function vocabularyCases(): readonly VocabularyCase[] {
  return (["chinese-llama-7b", "chinese-llama-2-7b"] as const).map((model) => {
    const address = formatAddress("model", "vocabulary", { model, format: "q4_0" });
    return { address, run: (backend, seed) => guarded(address, () => check(backend, model, seed)) };
  });
}

async function check(backend: Backend, model: PresetName, seed: number): Promise<Finding> {
  const config = { ...presets[model], layers: 0 };
  const { vocabSize: V, dim: D, normEps } = config;
  const stream = random(`vocabulary ${model}`, seed);
  const graph = llamaGraph(config);
  const [table, norm, output] = randomWeights(graph, "q4_0", stream) as [MemoryWeight, MemoryWeight, MemoryWeight]; // a model without layers has these three
  const tokens = Int32Array.from([0, V - 1, 31_999, 32_000, stream.integer(V)]);
  const names = ["embedding", "norm", "logits"] as const;
  await using program = await backend.compile(graph, memoryWeights([table, norm, output]), { wanted: names });
  const [embedding, normed, logits] = await program.run({ inputs: { tokens } }, names);

  const picked = new Set([0, 1, 31_999, 32_000, V - 2, V - 1]);
  while (picked.size < 256) picked.add(stream.integer(V));
  const columns = [...picked];
  const rows = buildGraph((g) => [
    g.embedding("embedding", g.tokens("tokens"), g.weight(table.name, [tokens.length, D])),
  ]);
  const root = buildGraph((g) => [
    g.rmsNorm("norm", g.activations("embedding", D), g.weight(norm.name, [D]), { eps: normEps }),
  ]);
  const sums = buildGraph((g) => [
    g.linear("logits", g.activations("norm", D), g.weight(output.name, [columns.length, D])),
  ]);
  const findings = [
    // Of the table only the rows that were asked for.
    await hold(rows, takeWeightRows(table, [...tokens]), { tokens: tokens.map((_, n) => n) }, embedding!),
    await hold(root, norm, { embedding: float32(embedding!.data) }, normed!),
    await hold(sums, takeWeightRows(output, columns), { norm: float32(normed!.data) }, logits!, columns),
  ];
  const worst = Math.max(...findings.map((finding) => finding.worst));
  const problem =
    findings.find((finding) => finding.problem !== undefined)?.problem ?? wrongChoice() ?? (await wrongDraw());
  return { worst: problem === undefined ? worst : Math.max(worst, 1), problem };

  async function hold(
    part: Graph,
    weight: MemoryWeight,
    inputs: Readonly<Record<string, Int32Array | Float32Array>>,
    actual: NonNullable<typeof logits>,
    columns?: readonly number[],
  ): Promise<Finding> {
    await using reference = await compileReference(part, memoryWeights([weight]));
    const [expected] = await reference.runWithBounds({ inputs }, part.outputs, backend.roundings);
    const finding = compare(actual, expected!, columns);
    return finding.problem === undefined ? finding : { ...finding, problem: `${part.outputs[0]}: ${finding.problem}` };
  }

  /** The last token must be within reach, and the most probable one be chosen. */
  function wrongChoice(): string | undefined {
    const last = float32(logits!.data.subarray((tokens.length - 1) * V));
    const best = last.reduce((best, value, id) => (value > last[best]! ? id : best), 0);
    if (mostProbable(last) !== best) return `token ${mostProbable(last)} is chosen where ${best} is most probable`;
    const chosen = createSampler({ temperature: 0.8, seed, logitBias: { [V - 1]: 1000 } }).sample(last, [...tokens], 0);
    return chosen === V - 1 ? undefined : `token ${chosen} is drawn where only ${V - 1} is probable`;
  }

  /** Tokens that the device chooses are those that the host would. */
  async function wrongDraw(): Promise<string | undefined> {
    const sampler = createSampler({ temperature: 0.8, topP: 1, seed });
    if (program.sample === undefined || sampler.draw === undefined) return undefined;
    using own = program.createCache(tokens.length + 1);
    const batch = [{ rows: tokens.length, cache: own }];
    const [last] = await program.run({ inputs: { tokens }, batch }, [{ value: "logits", rows: "last" }]);
    const expected = sampler.sample(float32(last!.data), [...tokens], tokens.length);
    using cache = program.createCache(tokens.length + 1);
    for await (const id of program.sample({ cache, tokens, sampling: sampler.draw, count: 1 })) {
      if (id !== expected) return `the device draws token ${id} where the host draws ${expected}`;
    }
    return undefined;
  }
}

function float32(values: ArrayLike<number>): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(values);
}
