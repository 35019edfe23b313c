// Ops of inference: its own kernels, over all rows of a step.

import type { Place, PlanBuffer, PlanStep, RopeStep } from "@polyllama/planner";
import type { Dispatch, Emission, Emitted as EmittedForInference, Resource } from "../../emit/dispatch.ts";
import { emit } from "../../emit/emit.ts";
import { emitRope } from "../../emit/rope.ts";
import type { MatrixPart } from "../../weights/layout.ts";
import type { Kernel, View } from "../commands.ts";
import { type MatrixPiece, vectorView } from "../matrices.ts";
import type { Bound, Emitted, TrainingEmission } from "./emission.ts";

/** Gives views to the places of inference's steps, and takes them back where its kernels name them. */
export class InferenceViews {
  readonly #e: TrainingEmission;
  readonly #views: View[] = [];
  readonly #pieces = new Map<MatrixPart, MatrixPiece>();
  readonly #tokens: View | undefined;

  constructor(e: TrainingEmission, tokens?: View) {
    this.#e = e;
    this.#tokens = tokens;
  }

  place({ view, stride, width }: Bound): Place {
    const buffer: PlanBuffer = { id: this.#views.push(view) - 1, rows: "all", stride };
    return { buffer, offset: 0, width };
  }

  /** @param before Where its results begin. */
  part(piece: MatrixPiece, before: number): MatrixPart {
    const part = { before, rows: piece.count, high: piece.high };
    this.#pieces.set(part, piece);
    return part;
  }

  /** The kernels of a step. @param parts Of the only matrix that it reads. @param rows Default: all of the training step. */
  emit(step: PlanStep, parts: readonly MatrixPart[] = [], rows: number = this.#e.rows): Emitted {
    const group = step.kind === "linear" ? step.group : step.kind === "embedding" ? step.table.group : undefined;
    const layout = { parts: new Map(group === undefined ? [] : [[group, parts]]) };
    return this.#kernels(emit(step, { ...this.#emission(), layout }), rows);
  }

  emitRope(step: RopeStep, backwards: boolean): Emitted {
    return this.#kernels(emitRope(step, this.#emission(), backwards), this.#e.rows);
  }

  #emission(): Emission {
    const { gpu, rotationStride } = this.#e;
    const { family, features } = gpu;
    const plan = { rotationStride };
    return { mode: "prefill", family, subgroups: features.subgroups, layout: { parts: new Map() }, plan };
  }

  #kernels(emitted: EmittedForInference, rows: number): Emitted {
    if (!("dispatches" in emitted)) throw new Error("training has no pools of KV blocks");
    return emitted.dispatches.map((dispatch) => this.#kernel(dispatch, rows));
  }

  #kernel({ label, variants, resources, parameters, work }: Dispatch, rows: number): Kernel {
    const { spec, grid } = variants.find((candidate) => rows <= candidate.rows)!; // the last is for any number
    const views = resources.map((resource) => this.#view(resource));
    return { kind: "kernel", label, spec, parameters, resources: views, grid: grid(rows), work: work * rows };
  }

  #view(resource: Resource): View {
    switch (resource.kind) {
      case "activations":
        return this.#views[resource.buffer.id]!; // `place` gave the number
      case "quants":
      case "scales":
        return this.#pieces.get(resource.part)![resource.kind]; // `part` made it
      case "vector":
        return vectorView(resource.name, this.#e.weights);
      case "rotation":
        return this.#e.rotations;
      case "tokens":
        return this.#tokens!; // of an embedding
      case "selection":
      case "tables":
      case "partials":
        throw new Error(`kernels of training take no ${resource.kind}`);
    }
  }
}
