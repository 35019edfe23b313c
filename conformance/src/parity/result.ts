// What a comparison of backends finds, as plain data: it survives JSON, and tables, reports and verdicts are made of
// it. Errors are given as shares of what is allowed: up to 1 agrees. JSON has no infinity, so null stands for a share
// that is no number: a NaN, or any error where none is allowed.

import type { DeviceInfo, LlamaConfig, OpName } from "@polyllama/core";
import type { Activations } from "../activations.ts";
import type { Finding } from "../comparison/measure.ts";

/** Error as a share of what is allowed; null: beyond any number. */
export type Share = number | null;

/** How far something is from the reference, as a share of what is allowed. */
export interface Measured {
  /** Largest share over all elements. */
  readonly worst: Share;
  /** What is wrong and where; null when it agrees. */
  readonly problem: string | null;
}

/** A finding as plain data. */
export function measured({ worst, problem }: Finding): Measured {
  return { worst: Number.isFinite(worst) ? worst : null, problem: problem ?? null };
}

/** One operation alone, with the model's weights and the reference's inputs, against its derived bound. */
export interface OpFinding extends Measured {
  /** Undefined for embedding, last norm and logits. */
  readonly layer?: number;
  /** The value's name without its layer: "wo". */
  readonly value: string;
  readonly op: OpName;
  /** Format of its weight. */
  readonly format?: string;
  /** Columns of its inputs and its output. */
  readonly widths: readonly number[];
}

/** One layer fed with the reference's input, against the tolerance estimated for it. */
export interface LayerFinding extends Measured {
  readonly layer: number;
  /** Share of the layer's output, computed as in use. `worst` also covers the inner values. */
  readonly output: Share;
  /** Inner values in the order of the graph, asked for all together, each against its own tolerance. */
  readonly values: readonly { readonly value: string; readonly op: OpName; readonly worst: Share }[];
}

/** Logits of the text, token by token given rather than chosen. */
export interface EndToEnd extends Measured {
  /** Rows read at once; the others were read one by one through the same cache. */
  readonly prefilled: number;
  /** Row of the worst share. */
  readonly worstRow: number;
  /** Rows where both most probable tokens are the same. */
  readonly sameToken: number;
  /** Rows where the reference's two best logits are further apart than twice the tolerance. */
  readonly decided: number;
  /** Mean of KL(reference || backend) over the rows, in nats. */
  readonly meanKl: number | null;
}

/** The first place, in the order of the graph, where a backend differs. */
export interface Divergence {
  /** Undefined for the ends of the model. */
  readonly layer?: number;
  /** Undefined where no single operation could be named. */
  readonly op?: OpName;
  readonly value?: string;
  readonly worst: Share;
  /** What `worst` is a share of. */
  readonly of: "bound" | "tolerance";
  readonly problem: string;
}

/** A backend that could not be compared, and why; never counted as one that agrees. */
export interface NotRun {
  readonly status: "not run";
  readonly name: string;
  readonly reason: string;
  readonly verdict: string;
}

/** A backend that was compared. */
export interface Compared {
  readonly status: "agrees" | "differs";
  readonly name: string;
  readonly device: DeviceInfo;
  /** What it declares to round inputs of linears to, for formats that this model has. */
  readonly activations: Activations;
  readonly ops: readonly OpFinding[];
  readonly layers: readonly LayerFinding[];
  readonly endToEnd: EndToEnd;
  /** Null when it agrees. */
  readonly first: Divergence | null;
  readonly verdict: string;
}

/** What was compared, and what came of it on each backend. */
export interface ModelComparison {
  readonly model: string;
  readonly config: LlamaConfig;
  readonly parameters: number;
  readonly tokens: readonly number[];
  /** Layers whose operations were compared one by one in any case. */
  readonly opLayers: readonly number[];
  /** Perturbed runs that tolerances are estimated from. */
  readonly runs: number;
  readonly seed: number;
  readonly judge: "reference";
  readonly backends: readonly (Compared | NotRun)[];
  /** Whether all backends ran and agree. */
  readonly agrees: boolean;
  /** One line. */
  readonly verdict: string;
}

/** A share above what is allowed, or no number. */
export function exceeds(share: Share): boolean {
  return share === null || share > 1;
}

/** The larger share. */
export function larger(a: Share, b: Share): Share {
  return a === null || b === null ? null : Math.max(a, b);
}
