// What is measured of a backend, as data: which models, prompts and batches, and what became of each. Weights are
// synthetic. Whatever could not be measured stays in the result, with the reason.

export interface BenchTask {
  /** For people: "7B f16". */
  readonly label: string;
  /** Location of a checkpoint, `synthetic://...`. */
  readonly model: string;
  /** Lengths of prompts to read. */
  readonly prefill: readonly number[];
  /** Filled positions at which one sequence is continued. */
  readonly contexts: readonly number[];
  /** Numbers of sequences that are continued together, and the positions that each has filled. */
  readonly batches: { readonly sizes: readonly number[]; readonly context: number };
}

export interface Measurement {
  /** "load", "prefill 512", "decode at 128", "batch of 8 at 128". */
  readonly what: string;
  readonly unit: "s" | "tokens/s";
  readonly value?: number;
  /**
   * What that is per second: bytes of weights and cache read when decoding, floating point operations when reading a
   * prompt.
   */
  readonly rate?: number;
  /** Why there is no value. */
  readonly notRun?: string;
  /** What went wrong, where something did. */
  readonly failed?: string;
}

export interface BenchResult {
  readonly label: string;
  readonly model: string;
  /** Bytes of the weights as stored. */
  readonly weights: number;
  readonly measurements: readonly Measurement[];
}

/** Steps before the first that is measured. */
export const warmUp = 4;

/** What `bench:cuda` measures. */
export const cudaTasks: readonly BenchTask[] = [
  task("7B f16", "llama-2-7b", "f16", [1, 8, 32, 128]),
  task("7B q8_0", "llama-2-7b", "q8_0", []),
  task("7B q4_0", "llama-2-7b", "q4_0", [1, 8, 32, 128]),
  task("7B q4_k", "llama-2-7b", "q4_k", []),
  task("13B f16", "llama-2-13b", "f16", []),
  task("13B q4_0", "llama-2-13b", "q4_0", []),
  task("70B q4_0", "llama-2-70b", "q4_0", []),
];

function task(label: string, preset: string, format: string, sizes: readonly number[]): BenchTask {
  return { ...modelTask(`synthetic://${preset}?seed=1&format=${format}`), label, batches: { sizes, context: 128 } };
}

/** The same measurements of a model of one's own. */
export function modelTask(model: string): BenchTask {
  return {
    label: model,
    model,
    prefill: [512, 2048],
    contexts: [128, 4000],
    batches: { sizes: [1, 8, 32, 128], context: 128 },
  };
}

export interface Planned extends Pick<Measurement, "what" | "unit"> {
  /** Positions that it fills. */
  readonly positions: number;
}

/** A task's measurements, in their order, where each continues by so many tokens. */
export function plan({ prefill, contexts, batches }: BenchTask, tokens = 0): readonly Planned[] {
  const behind = (n: number): number => n + tokens + warmUp;
  const unit = "tokens/s";
  return [
    { what: "load", unit: "s", positions: 0 },
    ...prefill.map((n) => ({ what: `prefill ${n}`, unit, positions: n }) as const),
    ...contexts.map((n) => ({ what: `decode at ${n}`, unit, positions: behind(n) }) as const),
    ...batches.sizes.map(
      (n) => ({ what: `batch of ${n} at ${batches.context}`, unit, positions: behind(batches.context) }) as const,
    ),
  ];
}
