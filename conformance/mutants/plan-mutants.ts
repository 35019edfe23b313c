// Faults between a graph and a plan: what is needed and in which rows, which weights stand together, what is computed
// together, where values are and how long, and how rows are cut into chunks.

import type { Mutant } from "./mutant.ts";

type Fault = Omit<Mutant, "package">;

const needs: readonly Fault[] = [
  {
    id: "needs-queries-for-nobody",
    file: "plan/needs.ts",
    find: "for (const value of new Set(alone ? kept : operands(node))) {",
    replace: "for (const value of new Set(operands(node))) {",
    what: "an attention that only fills its cache has its queries computed, too",
  },
  {
    id: "needs-asked-in-all-rows",
    file: "plan/needs.ts",
    find: "!all.has(node.output) &&",
    replace: "!(all.has(node.output) && reading.length === 0) &&",
    what: "a value that is asked for in all rows is computed for those that its readers select",
  },
  {
    id: "needs-selected-by-some",
    file: "plan/needs.ts",
    find: 'reading.every(({ output }) => rows.get(output) === "selected");',
    replace: '!reading.every(({ output }) => rows.get(output) === "all");',
    what: "a value is computed for selected rows as soon as one of its readers is",
  },
  {
    id: "needs-rope-by-row",
    file: "plan/needs.ts",
    find: "  rope: false,",
    replace: "  rope: true,",
    what: "selected rows are rotated by the positions of the first ones",
  },
  {
    id: "needs-group-apart",
    file: "plan/needs.ts",
    find: 'if (beside.some(({ output }) => rows.get(output) === "all"))',
    replace: 'if (beside.every(({ output }) => rows.get(output) === "all"))',
    what: "of linears that are multiplied together some are computed for other rows",
  },
];

const weightGroups: readonly Fault[] = [
  {
    id: "groups-mixed-formats",
    file: "plan/weight-groups.ts",
    find: "[info.format, ...readers.map(",
    replace: "[...readers.map(",
    what: "weights of different formats are stored together",
  },
  {
    id: "groups-by-first-graph",
    file: "plan/weight-groups.ts",
    find: "const readers = used.map(",
    replace: "const readers = used.slice(0, 1).map(",
    what: "weights are grouped as the first graph reads them, whatever the others do",
  },
  {
    id: "groups-first-row",
    file: "plan/weight-groups.ts",
    find: "firstRow += rowCount(info);",
    replace: "firstRow += columnCount(info);",
    what: "members of a group begin after as many rows as those before have columns",
  },
  {
    id: "groups-gate-second",
    file: "plan/weight-groups.ts",
    find: "const members = (pair ?? [...names]).map(",
    replace: "const members = [...names].map(",
    what: "where the graph has up before gate, alternating rows begin with up",
  },
  {
    id: "groups-shared-table",
    file: "plan/weight-groups.ts",
    find: "readers.some((found) => found.length > 1 || (found.length === 1 && found[0]!.x === undefined));",
    replace: "readers.some((found) => found.length === 1 && found[0]!.x === undefined);",
    what: "a weight that two linears read is stored with the neighbours of the first",
  },
];

const fusion: readonly Fault[] = [
  {
    id: "fusion-of-asked-values",
    file: "plan/fusion.ts",
    find: "return readers.length === 1 && !needs.isAsked(value) ? readers[0] : undefined;",
    replace: "return readers.length === 1 ? readers[0] : undefined;",
    what: "a value that is asked for is fused away",
  },
  {
    id: "fusion-norm-of-some-readers",
    file: "plan/fusion.ts",
    find: "(needs.readers.get(value) ?? []).every(such);",
    replace: "(needs.readers.get(value) ?? []).some(such);",
    what: "a norm goes into a linear, and what else reads it finds nothing",
  },
  {
    id: "fusion-early-residual",
    file: "plan/fusion.ts",
    find: "other !== undefined && f.computed.has(other)",
    replace: "other !== undefined",
    what: "a linear adds what is not computed yet",
  },
  {
    id: "fusion-rotated-values",
    file: "plan/fusion.ts",
    find: "v !== output && (q === output)",
    replace: "(v !== output || k === output) && (q === output)",
    what: "keys that are values, too, are rotated on the way to the cache",
  },
  {
    id: "fusion-one-rotation-for-both",
    file: "plan/fusion.ts",
    find: " && sameRotation(q, k)",
    replace: " && (sameRotation(q, k) || q.theta === k.theta)",
    what: "attention rotates queries as its keys, where they turn otherwise",
  },
  {
    id: "fusion-norm-of-other-rows",
    file: "plan/fusion.ts",
    find: 'next.op === "rmsNorm" && f.needs.rows.get(next.output) === rows)',
    replace: 'next.op === "rmsNorm" && (f.needs.rows.get(next.output) === rows || rows === "all"))',
    what: "an addition of all rows also gives the norm that is wanted of selected ones",
  },
];

const memory: readonly Fault[] = [
  {
    id: "lifetime-of-residual",
    file: "plan/lifetimes.ts",
    find: "linear: ({ x, residual, y }) => [x, residual, y],",
    replace: "linear: ({ x, y }) => [x, y],",
    what: "the memory of a residual is given to others before it is added",
  },
  {
    id: "lifetime-of-outputs",
    file: "plan/lifetimes.ts",
    find: "for (const place of outputs) touch(place, Number.POSITIVE_INFINITY);",
    replace: "for (const place of outputs) touch(place, steps.length - 1);",
    what: "outputs are not kept when the plan has run",
  },
  {
    id: "slot-of-operand",
    file: "plan/buffers.ts",
    find: "candidate.until < first);",
    replace: "candidate.until <= first);",
    what: "a step writes over its own operand",
  },
  {
    id: "offset-beside-last-use",
    file: "plan/buffers.ts",
    find: "first <= lifetimes[other]!.last)",
    replace: "first < lifetimes[other]!.last)",
    what: "a buffer is placed over one that the same step reads",
  },
  {
    id: "offset-in-small-gap",
    file: "plan/buffers.ts",
    find: "if (offset + sizes[id]! <= from) break;",
    replace: "if (offset < from) break;",
    what: "a buffer is placed in a gap that is smaller than it",
  },
];

const chunks: readonly Fault[] = [
  {
    id: "chunk-ends-early",
    file: "plan/chunks.ts",
    find: "ends: from + count === rows",
    replace: "ends: from + count >= rows - 1",
    what: "a sequence ends with the chunk before its last row",
  },
  {
    id: "chunk-in-two-modes",
    file: "plan/chunks.ts",
    find: "if (modes.find(({ sequenceRows }) => rows <= sequenceRows) !== mode) continue;",
    replace: "if (rows > mode.sequenceRows) continue;",
    what: "a short sequence is computed in every mode that takes it",
  },
  {
    id: "chunk-of-many-sequences",
    file: "plan/chunks.ts",
    find: "if (filled === mode.rows || segments.length === mode.sequences) close();",
    replace: "if (filled === mode.rows) close();",
    what: "a chunk has more sequences than its mode allows",
  },
];

const rotations: readonly Fault[] = [
  {
    id: "rotations-without-scaling",
    file: "plan/rotations.ts",
    find: "return JSON.stringify([headDim, theta, scaling]);",
    replace: "return JSON.stringify([headDim, theta, scaling.type]);",
    what: "rotations that are scaled by different factors share a table",
  },
  {
    id: "rotations-side-by-side",
    file: "plan/rotations.ts",
    find: "offset: rotationStride(rotations) };",
    replace: "offset: rotations.length };",
    what: "the second rotation begins within the first one's columns",
  },
];

const placement: readonly Fault[] = [
  {
    id: "place-of-members",
    file: "plan/lower.ts",
    find: "offset: rowOf(output), width });",
    replace: "offset: 0, width });",
    what: "k and v are read where q is",
  },
  {
    id: "place-gate-and-up",
    file: "plan/lower.ts",
    find: "{ gateRow: rowOf(gated.gate), upRow: rowOf(gated.up) }",
    replace: "{ gateRow: rowOf(gated.up), upRow: rowOf(gated.gate) }",
    what: "gate and up of a fused swiglu are exchanged",
  },
  {
    id: "place-of-converted-rows",
    file: "plan/places.ts",
    find: "const key = JSON.stringify([value, rows]);",
    replace: "const key = JSON.stringify([value]);",
    what: "a linear of selected rows takes its input as it was converted in all rows",
  },
  {
    id: "place-of-gathered-rows",
    file: "plan/places.ts",
    find: "l.gathered.set(value, y);",
    replace: "l.places.set(value, y);",
    what: "a value whose rows were gathered is no longer there for those who read all of it",
  },
  {
    id: "place-unpadded",
    file: "plan/places.ts",
    find: "stride: Math.ceil(words / l.padding) * l.padding };",
    replace: "stride: words };",
    what: "rows of activations are not padded to whole vectors",
  },
];

export const planMutants: readonly Fault[] = [
  ...needs,
  ...weightGroups,
  ...fusion,
  ...memory,
  ...chunks,
  ...rotations,
  ...placement,
];
