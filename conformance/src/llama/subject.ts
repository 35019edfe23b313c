// What the Llama suite's cases work on: models that are loaded once per backend, by `Llama` and, beside it, as a plain
// program whose logits the definitions read, and a count of what `Llama` had computed.

import { llamaGraph } from "@polyllama/core";
import { cacheSpec, type Device, type DeviceTensor, isDeviceTensor, type Program } from "@polyllama/core/device";
import { Llama, type LlamaGenerateOptions, type Piece } from "polyllama";
import { forwardDevice, forwardDeviceProgram } from "../forward.ts";
import { mustThrow } from "../must.ts";
import { type DefinedOptions, type DefinedPiece, defineGeneration, difference, type Logits } from "./definition.ts";
import { buildModel, type Model, type ModelName } from "./models.ts";

const lastLogits = [{ value: "logits", rows: "last", to: "host" }] as const;

/** A model that is loaded. */
export interface LoadedModel extends Model {
  readonly llama: Llama;
  /** Most tokens of one run. */
  readonly chunk: number;
  /** Rows that `llama` has had computed, and tokens it has had drawn by the device. */
  readonly work: Work;
  /** The backend's own logits, from a sequence of the definition's. */
  readonly logits: () => Logits & Disposable;
}

export interface Work {
  rows: number;
  sampled: number;
  /** Tokens on the device that `llama` was given, all of which it has to give back. */
  readonly given: DeviceTensor[];
  /** Called after every step. */
  after: (() => void) | undefined;
}

/** A device under the suite. Disposing it disposes the models, not the device. */
export interface LlamaSubject extends AsyncDisposable {
  readonly device: Device;
  /** @param chunk Default: that of `Llama.load`. */
  model(name: ModelName, chunk?: number): Promise<LoadedModel>;
}

export function createLlamaSubject(device: Device): LlamaSubject {
  const loaded = new Map<string, Promise<LoadedModel & { readonly program: Program }>>();
  return {
    device,
    model(name, chunk) {
      const key = `${name} ${chunk}`;
      const model = loaded.get(key) ?? load(device, name, chunk);
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

async function load(device: Device, name: ModelName, chunk: number | undefined) {
  const model = buildModel(name);
  const { checkpoint } = model;
  const work: Work = { rows: 0, sampled: 0, given: [], after: undefined };
  const llama = await Llama.load(checkpoint, { backend: watched(device, work), ...(chunk && { chunk }) });
  const graph = llamaGraph(checkpoint.config);
  using parameters = await device.loadParameters([graph], checkpoint);
  const program = await device.compile(graph, parameters, { outputs: lastLogits });
  const size = chunk ?? 512;
  const logits = () => ownLogits(device, program, llama.contextLength, size);
  return { ...model, llama, chunk: size, work, logits, program };
}

/**
 * Logits as the contract gives them: what a sequence of tokens shares with the last one is kept, the rest is read in
 * chunks. Only so are they those of `Llama` to the bit, since other runs may round otherwise.
 */
function ownLogits(device: Device, program: Program, capacity: number, chunk: number): Logits & Disposable {
  const pool = device.cachePool(cacheSpec(program.graph), { rows: capacity });
  const cache = pool.open();
  let held: readonly number[] = [];
  const logits: Logits = async (tokens) => {
    let shared = 0;
    while (shared < tokens.length - 1 && tokens[shared] === held[shared]) shared++;
    cache.truncate(shared);
    held = tokens;
    for (let first = shared; ; first += chunk) {
      const part = tokens.slice(first, first + chunk);
      const inputs = { tokens: Int32Array.from(part) };
      const step = { inputs, sequences: [{ rows: part.length, cache }], outputs: lastLogits };
      const [value] = await program.submit(step).result;
      if (value?.to !== "host") throw new Error("logits did not come to the host");
      if (first + chunk >= tokens.length) return value.tensor.data;
    }
  };
  return Object.assign(logits, { [Symbol.dispose]: () => pool[Symbol.dispose]() });
}

/** The same device, with a count of its work. */
function watched(device: Device, work: Work): Device {
  return forwardDevice(device, {
    async compile(...given) {
      const program = await device.compile(...given);
      return forwardDeviceProgram(program, {
        submit(step, signal) {
          const submission = program.submit(step, signal);
          if (submission.tokens !== undefined) work.given.push(submission.tokens);
          const { tokens } = step.inputs; // the graph's one input
          const rows = isDeviceTensor(tokens!) ? tokens.shape[0] : tokens!.length;
          const result = submission.result.then((values) => {
            work.rows += rows;
            work.sampled += values.filter(({ to }) => to === "token").length;
            work.after?.();
            return values;
          });
          result.catch(() => undefined); // whoever asks for it gets the rejection
          return { ...submission, result };
        },
      });
    },
    async [Symbol.asyncDispose]() {},
  });
}

/** Between generations: whatever a device drew was given back. */
export async function mustHaveGivenBack({ given }: Work): Promise<void> {
  for (const tensor of given.splice(0)) await mustThrow("ERR_DISPOSED", () => tensor.read(), "tokens on the device");
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
  // one of both
  const defined = await defineGeneration(logits ?? own!, model, prompt, definedOptions, sequence.capacity);
  const problem = difference(pieces, defined);
  if (problem === undefined) return { pieces, defined };
  const shown = JSON.stringify(definedOptions, (_, value) => (value === -Infinity ? "-Infinity" : value));
  throw new Error(`${problem}; options ${shown.slice(0, 300)}`);
}
