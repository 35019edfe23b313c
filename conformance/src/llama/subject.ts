// What the Llama suite's cases work on: models that are loaded once per backend, by `Llama` and, beside it, as a plain
// program whose logits the definitions read, and a count of what `Llama` had computed.

import { type Backend, type KvCache, llamaGraph, type Piece, type Program } from "@polyllama/core";
import { Llama, type LlamaGenerateOptions } from "polyllama";
import { forwardBackend, forwardProgram } from "../forward.ts";
import { type DefinedOptions, type DefinedPiece, defineGeneration, difference, type Logits } from "./definition.ts";
import { buildModel, type Model, type ModelName } from "./models.ts";

const lastLogits = [{ value: "logits", rows: "last" }] as const;

/** A model that is loaded. */
export interface LoadedModel extends Model {
  readonly llama: Llama;
  /** Most tokens of one run. */
  readonly chunk: number;
  /** Rows that `llama` has had computed, and tokens it has had chosen by the device. */
  readonly work: Work;
  /** The backend's own logits, from a sequence of the definition's. */
  readonly logits: () => Logits & Disposable;
}

export interface Work {
  rows: number;
  sampled: number;
  /** Called after every run and every token from the device. */
  after: (() => void) | undefined;
}

/** A backend under the suite. Disposing it disposes the models, not the backend. */
export interface LlamaSubject extends AsyncDisposable {
  readonly backend: Backend;
  /** @param chunk Default: that of `Llama.load`. */
  model(name: ModelName, chunk?: number): Promise<LoadedModel>;
}

export function createLlamaSubject(backend: Backend): LlamaSubject {
  const loaded = new Map<string, Promise<LoadedModel & { readonly program: Program }>>();
  return {
    backend,
    model(name, chunk) {
      const key = `${name} ${chunk}`;
      const model = loaded.get(key) ?? load(backend, name, chunk);
      loaded.set(key, model);
      return model;
    },
    async [Symbol.asyncDispose]() {
      for (const { llama, program } of await Promise.all(loaded.values())) {
        await llama.dispose();
        await program[Symbol.asyncDispose]();
      }
    },
  };
}

async function load(backend: Backend, name: ModelName, chunk: number | undefined) {
  const model = buildModel(name);
  const { checkpoint } = model;
  const work: Work = { rows: 0, sampled: 0, after: undefined };
  const llama = await Llama.load(checkpoint, { backend: watched(backend, work), ...(chunk && { chunk }) });
  const program = await backend.compile(llamaGraph(checkpoint.config), checkpoint, { wanted: lastLogits });
  const size = chunk ?? 512;
  const logits = () => ownLogits(program, llama.contextLength, size);
  return { ...model, llama, chunk: size, work, logits, program };
}

/**
 * Logits as the contract gives them: what a sequence of tokens shares with the last one is kept, the rest is read in
 * chunks. Only so are they those of `Llama` to the bit, since other runs may round otherwise.
 */
function ownLogits(program: Program, capacity: number, chunk: number): Logits & Disposable {
  const cache: KvCache = program.createCache(capacity);
  let held: readonly number[] = [];
  const logits: Logits = async (tokens) => {
    let shared = 0;
    while (shared < tokens.length - 1 && tokens[shared] === held[shared]) shared++;
    cache.truncate(shared);
    held = tokens;
    for (let first = shared; ; first += chunk) {
      const part = tokens.slice(first, first + chunk);
      const step = { inputs: { tokens: Int32Array.from(part) }, batch: [{ rows: part.length, cache }] };
      const [tensor] = await program.run(step, lastLogits);
      if (first + chunk >= tokens.length) return tensor!.data; // one value was asked for
    }
  };
  return Object.assign(logits, { [Symbol.dispose]: () => cache[Symbol.dispose]() });
}

/** The same backend, with a count of its work. */
function watched(backend: Backend, work: Work): Backend {
  const count = (rows: number, sampled: number): void => {
    work.rows += rows;
    work.sampled += sampled;
    work.after?.();
  };
  return forwardBackend(backend, {
    async compile(...given) {
      const program = await backend.compile(...given);
      return forwardProgram(program, {
        async run(step, wanted, options) {
          const tensors = await program.run(step, wanted, options);
          count(step.inputs["tokens"]!.length, 0); // the graph's one input
          return tensors;
        },
        sample: program.sample && sampling(program),
      });
    },
    async [Symbol.asyncDispose]() {},
  });

  function sampling(program: Program): Program["sample"] {
    return async function* (run, options) {
      let rows = run.tokens.length;
      for await (const id of program.sample!(run, options)) {
        count(rows, 1);
        rows = 1;
        yield id;
      }
    };
  }
}

export async function collect(pieces: AsyncIterable<Piece>): Promise<readonly Piece[]> {
  const all: Piece[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

/** Generates, in a sequence of its own unless one is given, and holds what comes to the definition; returns both. */
export async function judge(
  model: LoadedModel,
  prompt: readonly number[],
  options: DefinedOptions & Pick<LlamaGenerateOptions, "sequence">,
  logits?: Logits,
): Promise<{ readonly pieces: readonly Piece[]; readonly defined: readonly DefinedPiece[] }> {
  using own = logits === undefined ? model.logits() : undefined;
  using fresh = options.sequence === undefined ? model.llama.createSequence() : undefined;
  const sequence = options.sequence ?? fresh!; // one of both
  const { sequence: _, ...definedOptions } = options;
  const pieces = await collect(model.llama.generate(prompt, { ...definedOptions, sequence }));
  const defined = await defineGeneration(logits ?? own!, model, prompt, definedOptions, sequence.capacity); // one of both
  const problem = difference(pieces, defined);
  if (problem === undefined) return { pieces, defined };
  const shown = JSON.stringify(definedOptions, (_, value) => (value === -Infinity ? "-Infinity" : value));
  throw new Error(`${problem}; options ${shown.slice(0, 300)}`);
}
