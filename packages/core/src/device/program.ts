// Compiled graphs and their steps. A program holds nothing that changes: a step names its inputs, the sequences that
// its rows belong to, what it updates and where its outputs go. Prefill, decode, chunked prefill and continuous
// batching are the same call.

import type { Graph, ValueName, WeightName } from "../graph.ts";
import type { TokenLogprob } from "../sampling/logprobs.ts";
import type { DrawOptions, SamplingOptions } from "../sampling/sample.ts";
import type { RealArray, Tensor } from "../tensor.ts";
import type { SequenceCache } from "./cache.ts";
import type { Parameters } from "./parameters.ts";

/**
 * A compiled graph. Disposing it ends steps that wait or run with `ERR_DISPOSED`; a second dispose waits for the first.
 */
export interface Program extends AsyncDisposable {
  readonly graph: Graph;
  readonly parameters: Parameters;
  /**
   * Enqueues a step and returns at once. Steps of a device begin in the order in which they are submitted. KV blocks
   * are taken here. A step without updates that fails or is aborted, in the queue or while it runs, leaves all caches
   * as they were; steps that build upon it fail with `ERR_DEPENDENCY`.
   *
   * @throws {PolyllamaError} `ERR_GRAPH` for a step that does not fit the graph, `ERR_DISPOSED`; `CacheFullError`;
   * `UnsupportedError`; the signal's reason where it is aborted already.
   */
  submit(step: Step, signal?: AbortSignal): Submission;
}

/** A step under way. */
export interface Submission {
  /**
   * One per output of the step, in order. Rejects with the signal's reason, `ERR_DISPOSED`, `ERR_DEPENDENCY`,
   * `ERR_BACKEND`.
   */
  readonly result: Promise<readonly OutputValue[]>;
  /**
   * The chosen tokens [drawn rows] of the step's first token output, ready to be the input of the next step before
   * `result` is there.
   */
  readonly tokens?: DeviceTensor;
}

/** Rows to compute, N in all, of any number of sequences. */
export interface Step {
  /** Tokens [N] as Int32Array; activations [N, width]; what has a fixed shape in that shape. */
  readonly inputs: Readonly<Record<ValueName, HostArray | DeviceTensor>>;
  /** Which rows belong to which sequence, in order. */
  readonly sequences: readonly SequenceRows[];
  readonly outputs: readonly Output[];
  /** Weights that are overwritten by values of the graph as large as they, once all of those are finite. */
  readonly updates?: Readonly<Record<WeightName, ValueName>>;
}

/** A sequence's part of a step. */
export interface SequenceRows {
  /** How many rows this sequence advances by. */
  readonly rows: number;
  /** Receives the rows' keys and values; they continue at its length. Without one the rows see only each other. */
  readonly cache?: SequenceCache;
  /** Position of the first row where there is no cache; default 0. */
  readonly position?: number;
  /** Adapter of the parameters; default: none. */
  readonly adapter?: string;
}

/** Inputs from the host. */
export type HostArray = Int32Array | RealArray;

/** A matrix on the device. */
export interface DeviceTensor extends Disposable {
  /** [rows, width]; tokens have a width of 1; vectors of a fixed length are one row. */
  readonly shape: readonly [number, number];
  /** `activations`: reals of any origin. */
  readonly kind: "tokens" | "activations";
  /** A copy on the host, when it is computed. */
  read(signal?: AbortSignal): Promise<HostArray>;
}

/**
 * What a step gives, and where to. `rows: "last"` is the last row of each sequence, `lastPerSequence` the last so many
 * rows of each. `token` draws a token from each of those rows of logits; `score` gives log-probabilities of given
 * tokens, one per row of the step. Values of a fixed shape, as gradients of parameters, are given whole: `rows: "all"`.
 */
export type Output =
  | { readonly value: ValueName; readonly rows: "all" | "last"; readonly to: "host" | "device" }
  | {
      readonly value: ValueName;
      readonly rows: "last" | { readonly lastPerSequence: readonly number[] };
      readonly to: "token";
      /** One per drawn row. */
      readonly draw: readonly Draw[];
      /** Log-probabilities of the chosen token and of this many alternatives, of the unmodified logits. */
      readonly logprobs?: number;
    }
  | {
      readonly value: ValueName;
      readonly to: "score";
      /** A token for each row of the step [N]; -1 leaves a row out. */
      readonly targets: Int32Array;
      /** Divides the logits first; default 1. */
      readonly temperature?: number;
      /** Most probable tokens to give beside; default 0. */
      readonly top?: number;
    };

/**
 * How one token is drawn: the definition is `sampling/sample.ts`, and equal logits give equal tokens on every device.
 */
export interface Draw extends DrawOptions {
  /** Position of the random number; default: that of the drawn token, one after its row's. */
  readonly position?: number;
  /** Penalties for tokens of the sequence, whose cache knows them; those before `promptLength` count as given. */
  readonly penalties?: Pick<SamplingOptions, "repetitionPenalty" | "presencePenalty" | "frequencyPenalty"> & {
    readonly promptLength: number;
  };
  readonly logitBias?: SamplingOptions["logitBias"];
  /** Allowed tokens, V bits, lowest first; default: all. */
  readonly mask?: Uint32Array;
}

/** A value that a step gave, by where it went. */
export type OutputValue =
  | { readonly to: "host"; readonly tensor: Tensor }
  | { readonly to: "device"; readonly tensor: DeviceTensor }
  | { readonly to: "token"; readonly tokens: Int32Array; readonly logprobs?: readonly RowLogprobs[] }
  | { readonly to: "score"; readonly rows: readonly (RowLogprobs | undefined)[] };

/** Log-probabilities of one row: natural logarithms. */
export interface RowLogprobs {
  /** Of the chosen token, or the target. */
  readonly logprob: number;
  /** Of the most probable tokens. */
  readonly top: readonly TokenLogprob[];
}
