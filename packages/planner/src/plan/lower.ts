// From what is computed together to steps over places: for each kind of fused node the steps that compute it.

import { type AttentionNode, operands, ops, type RopeNode, type ValueName } from "@polyllama/core";
import type { FusedAttention, FusedLinear, FusedNode } from "./fusion.ts";
import type { Needs } from "./needs.ts";
import { define, fresh, type Layout, linearOperand, normOf, operand } from "./places.ts";
import type { CacheStep, Place, PlainStep, PlanAttention } from "./plan.ts";
import { type PlacedRotation, placeRotation } from "./rotations.ts";
import type { StoredWeights } from "./weight-groups.ts";

/** A plan while it is being made. */
export interface Planning extends Layout {
  readonly needs: Needs;
  readonly weights: Pick<StoredWeights, "places">;
  readonly rotations: PlacedRotation[];
  readonly attentions: ReadonlyMap<AttentionNode, PlanAttention>;
}

/** Adds the steps of a fused node. */
export function lower(node: FusedNode, p: Planning): void {
  const entry = lowerings[node.kind] as (node: FusedNode, p: Planning) => void; // the entry of its own kind
  entry(node, p);
}

type Lowerings = {
  readonly [Kind in FusedNode["kind"]]: (node: Extract<FusedNode, { kind: Kind }>, p: Planning) => void;
};

const lowerings: Lowerings = {
  embedding({ node }, p) {
    const table = p.weights.places.get(node.table)!;
    const { format, rows, columns } = table.group;
    const y = define(p, node.output, "all");
    p.steps.push({
      kind: "embedding",
      label: `embedding ${node.output} ${format} [${rows}, ${columns}]`,
      rows: "all",
      table,
      y,
    });
  },
  rmsNorm({ node }, p) {
    const rows = p.needs.rows.get(node.output)!;
    const x = operand(p, node.x, rows);
    const y = define(p, node.output, rows);
    p.steps.push({ kind: "norm", label: `rmsNorm ${node.output} [${y.width}]`, rows, x, norm: normOf(node), y });
  },
  linear: lowerLinear,
  rope({ node }, p) {
    const x = operand(p, node.x, "all");
    const y = define(p, node.output, "all");
    const rotation = placeRotation(p.rotations, node);
    p.steps.push({ kind: "rope", label: `rope ${node.output} [${y.width}]`, rows: "all", rotation, x, y });
  },
  attention: lowerAttention,
  plain({ node }, p) {
    const rows = p.needs.rows.get(node.output)!;
    const names = operands(node);
    const inputs = ops[node.op].inputs.map((role, i) => [role, operand(p, names[i]!, rows)] as const);
    const { op, output, ...fields } = node;
    const y = define(p, output, rows);
    const label = `${op} ${output} [${y.width}]`;
    const step = { ...fields, ...Object.fromEntries(inputs), kind: op, label, rows, y };
    p.steps.push(step as unknown as PlainStep); // its fields are those of the op's node, places for its inputs
  },
  add({ node, norm }, p) {
    const rows = p.needs.rows.get(node.output)!;
    const [a, b] = [operand(p, node.a, rows), operand(p, node.b, rows)];
    const y = define(p, node.output, rows);
    const normed = norm && { norm: normOf(norm), y: define(p, norm.output, rows) };
    p.steps.push({ kind: "add", label: `add ${node.output} [${y.width}]`, rows, a, b, y, normed });
  },
};

function lowerLinear({ nodes, group, whole, input, residual, gated }: FusedLinear, p: Planning): void {
  const node = nodes[0]!; // there is at least one
  const rows = p.needs.rows.get(node.output)!;
  const { x, norm } = linearOperand(p, input, rows);
  const added = residual && operand(p, residual.other, rows);
  const rowOf = (value: ValueName): number =>
    p.weights.places.get(nodes.find(({ output }) => output === value)!.weight)!.firstRow;
  let y: Place;
  if (gated !== undefined) y = define(p, gated.output, rows);
  else if (whole) {
    y = fresh(p, group.rows, rows);
    for (const { output } of nodes) {
      const width = p.graph.widths.get(output)!;
      p.places.set(output, { buffer: y.buffer, offset: rowOf(output), width });
    }
  } else y = define(p, residual?.node.output ?? node.output, rows);
  const matrixRows = whole ? group.rows : y.width;
  p.steps.push({
    kind: "linear",
    label: `linear ${node.output} ${group.format} [${matrixRows}, ${group.columns}]`,
    rows,
    group,
    firstRow: whole ? 0 : rowOf(node.output),
    matrixRows,
    x,
    converted: input.converted,
    norm,
    residual: added,
    gated: gated && { gateRow: rowOf(gated.gate), upRow: rowOf(gated.up) },
    y,
  });
}

function lowerAttention({ node, cacheOnly, qRope, kRope }: FusedAttention, p: Planning): void {
  const attention = p.attentions.get(node)!;
  const { output, heads, kvHeads, headDim } = node;
  const shape = `${output} [${heads} / ${kvHeads} x ${headDim}]`;
  const source = (value: ValueName, rope: RopeNode | undefined): Place => operand(p, rope?.x ?? value, "all");
  const rotation = (rope: RopeNode | undefined): PlacedRotation | undefined => rope && placeRotation(p.rotations, rope);
  const k = source(node.k, kRope);
  const v = operand(p, node.v, "all");
  const q = cacheOnly ? undefined : source(node.q, qRope);
  const qRotation = rotation(qRope);
  const rotated: CacheStep["q"] =
    q === undefined || qRotation === undefined ? undefined : { x: q, rotation: qRotation, y: fresh(p, q.width, "all") };
  p.steps.push({
    kind: "cache",
    label: `cache of ${shape}`,
    rows: "all",
    attention,
    k,
    kRotation: rotation(kRope),
    v,
    q: rotated,
  });
  if (q === undefined) return;
  const y = define(p, output, "all");
  p.steps.push({ kind: "attention", label: `attention ${shape}`, rows: "all", attention, q: rotated?.y ?? q, y });
}
