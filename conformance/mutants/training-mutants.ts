// Faults of training around its kernels: what is planned, what the library is told, how values lie in memory, packing,
// losses, steps.

import type { Mutant } from "./mutant.ts";

type Fault = Omit<Mutant, "package" | "judgedBy">;

const planner: readonly Fault[] = [
  {
    id: "training-not-finite",
    file: "training/updates.ts",
    find: "if (found === undefined && !notFinite) return;",
    replace: "if (found === undefined) return;",
    what: "updates that were not made are not told of",
  },
  {
    id: "training-plan-readers",
    file: "training/plan.ts",
    find: "readers.get(late) === 1 &&",
    replace: "",
    what: "a value that others read is replaced by a sum with it",
  },
  {
    id: "training-plan-residual-lifetime",
    file: "training/plan.ts",
    find: "...Object.values(made), ...Object.values(residuals)]",
    replace: "...Object.values(made)]",
    what: "memory of what is added to a result is used by others before",
  },
  {
    id: "training-plan-outputs",
    file: "training/plan.ts",
    find: 'define(value, asked.has(value) ? "output" : "inner")',
    replace: 'define(value, "inner")',
    what: "memory of gradients that are asked for is used by later ones",
  },
  {
    id: "training-plan-sum-lost",
    file: "training/plan.ts",
    find: "of.set(late, { value: node.output, residuals: [early] });",
    replace: "of.set(late, { value: node.output, residuals: [] });",
    what: "of two gradients that meet the later one alone goes on",
  },
];

const cpu: readonly Fault[] = [
  {
    id: "training-pieces-added",
    file: "training/emit.ts",
    find: 'const residual = i === 0 ? added("x") : y;',
    replace: 'const residual = i >= 0 ? added("x") : y;',
    what: "of a vocabulary in pieces the last one's gradient alone goes on",
  },
  {
    id: "training-pieces-offset",
    file: "training/emit.ts",
    find: "const offset = 4n * BigInt(first * matrix.columns);",
    replace: "const offset = 4n * BigInt(first);",
    what: "gradients of a vocabulary's later pieces are written over those of the first",
  },
  {
    id: "training-temperature",
    file: "training/emit.ts",
    find: "      first,\n      scale: 1 / node.temperature,\n    };\n    const steps",
    replace: "      first,\n      scale: node.temperature,\n    };\n    const steps",
    what: "gradients are multiplied by the temperature",
  },
  {
    id: "training-norm-residual",
    file: "training/emit.ts",
    find: "weight: e.weights.norm(node.weight), residual: residual.ref,",
    replace: "weight: e.weights.norm(node.weight), residual: 0n,",
    what: "the gradient that goes around a norm is lost",
  },
  {
    id: "training-squares-count",
    file: "training/emit.ts",
    find: "const count = rows * Math.ceil(width / squaredWords);",
    replace: "const count = rows * Math.floor(width / squaredWords);",
    what: "the last piece of a gradient is not in the norm",
  },
  {
    id: "training-adamw-rest",
    file: "training/emit.ts",
    find: "restOfBeta1: 1 - beta1,",
    replace: "restOfBeta1: 1 - beta2,",
    what: "the first moment takes too little of a gradient",
  },
  {
    id: "training-adamw-in-place",
    file: "training/emit.ts",
    find: "e.inPlace(node) ? own[role] : made(role).ref",
    replace: 'e.inPlace(node) && role === "weight" ? own[role] : made(role).ref',
    what: "moments stay what they were",
  },
  {
    id: "training-rope-forwards",
    file: "training/emit.ts",
    find: "backwards: node.backwards === true ? 1 : 0",
    replace: "backwards: 0",
    what: "gradients of rotations turn forwards",
  },
  {
    id: "training-inputs-lifetime",
    file: "training/run.ts",
    find: 'first: kind === "input" ? 0 : first,',
    replace: "first,",
    what: "inputs are written over before they are read",
  },
  {
    id: "training-outputs-lifetime",
    file: "training/run.ts",
    find: 'last: kind === "output" ? Number.POSITIVE_INFINITY : last',
    replace: "last",
    what: "gradients are written over before the host reads them",
  },
  {
    id: "training-tokens",
    file: "training/run.ts",
    find: "encodeRow(view, rows + rowBytes * row, ids?.[row] ?? 0, i, n);",
    replace: "encodeRow(view, rows + rowBytes * row, ids?.[n] ?? 0, i, n);",
    what: "later sequences have the first one's tokens",
  },
  {
    id: "training-positions",
    file: "training/run.ts",
    find: "(_, n) => start + n),",
    replace: "(_, n) => n),",
    what: "sequences that begin later are rotated as from 0",
  },
  {
    id: "training-finite-checks",
    file: "training/run.ts",
    find: "await runSteps([...emitAll(values.ref, first), ...checks], run,",
    replace: "await runSteps([...emitAll(values.ref, first)], run,",
    what: "weights are updated by gradients that are not finite",
  },
  {
    id: "training-layout-stride",
    file: "training/layout.ts",
    find: "memory.set(data.subarray(n * width, (n + 1) * width), n * stride);",
    replace: "memory.set(data.subarray(n * width, (n + 1) * width), n * width);",
    what: "rows that the host gives lie where others are expected",
  },
  {
    id: "training-layout-groups",
    file: "training/layout.ts",
    find: "let at = Math.floor(m / groupRows) * groupRows * columns + (m % groupRows);",
    replace: "let at = Math.floor(m / groupRows) * groupRows * columns;",
    what: "all rows of a group are read as its first one",
  },
];

const training: readonly Fault[] = [
  {
    id: "training-loss-parts",
    file: "trainer.ts",
    find: "loss += found.loss;",
    replace: "loss = found.loss;",
    what: "the loss is that of the last micro-batch",
  },
  {
    id: "training-step-number",
    file: "trainer.ts",
    find: "adamWSettings(rate, this.#steps + 1, adamw)",
    replace: "adamWSettings(rate, Math.max(1, this.#steps), adamw)",
    what: "moments are corrected as those of the step before",
  },
  {
    id: "training-accumulates",
    file: "trainer.ts",
    find: "before === undefined ? this.#first : this.#more;",
    replace: "this.#first;",
    what: "gradients of all micro-batches but the last are lost",
  },
  {
    id: "training-norm-root",
    file: "trainer.ts",
    find: "Math.sqrt(hostValues(squares)[0]!)",
    replace: "hostValues(squares)[0]!",
    what: "the norm that is told is its square",
  },
  {
    id: "training-loss-weights",
    file: "loss.ts",
    find: "(weight) => -weight / total)",
    replace: "(weight) => (weight === 0 ? 0 : -1 / total))",
    what: "all targets that count weigh the same",
  },
  {
    id: "training-pack-leak",
    file: "pack.ts",
    find: "rows: parts.map(({ rows }) => rows),",
    replace: "rows: [tokens.length],",
    what: "documents that lie together see each other",
  },
  {
    id: "training-pack-counts",
    file: "pack.ts",
    find: "example.counts.slice(first + 1, first + 1 + rows)",
    replace: "example.counts.slice(first, first + rows)",
    what: "a token counts where the one before it was to",
  },
  {
    id: "training-schedule-floor",
    file: "schedule.ts",
    find: "floor + (1 - floor) * 0.5",
    replace: "(1 - floor) * 0.5",
    what: "the learning rate ends at 0",
  },
];

const judgedBy = "training";

export const trainingMutants: readonly Mutant[] = [
  ...planner.map((fault) => ({ ...fault, package: "planner", judgedBy })),
  ...cpu.map((fault) => ({ ...fault, package: "backend-cpu", judgedBy })),
  ...training.map((fault) => ({ ...fault, package: "training" })),
];
