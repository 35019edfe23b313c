// One line that says what was found.

import { type Compared, type Divergence, exceeds, type Share } from "./result.ts";

/** "41x", "3.2x"; a share that is no number has no words but its problem. */
function times(share: Share): string {
  if (share === null) return "beyond any";
  return share >= 1e6 ? `${share.toExponential(1)}x` : `${share < 10 ? share.toFixed(1) : share.toFixed(0)}x`;
}

/** A share in tables: "0.031", "41". What is below 1 never shows as 1. */
export function shareText(share: Share): string {
  if (share === null) return "none allowed";
  if (share === 0) return "0";
  if (share < 0.001 || share >= 1e5) return share.toExponential(1);
  if (share > 0.99 && share < 1) return "0.99";
  return share >= 100 ? share.toFixed(0) : share.toPrecision(2);
}

function worstOf(findings: readonly { readonly worst: Share }[]): Share {
  let worst: Share = 0;
  for (const finding of findings) {
    if (finding.worst === null) return null;
    worst = Math.max(worst, finding.worst);
  }
  return worst;
}

export function agreement(
  { name, ops, layers, endToEnd }: Pick<Compared, "name" | "ops" | "layers" | "endToEnd">,
  rows: number,
): string {
  const { sameToken, worst, meanKl } = endToEnd;
  return (
    `${name} agrees with reference: ${ops.length} operations within their bounds (worst ${shareText(worstOf(ops))}), ` +
    `${layers.length} layers and the logits within tolerance (worst ${shareText(worstOf([...layers, { worst }]))}), ` +
    `${sameToken} of ${rows} most probable tokens equal, mean KL ${meanKl?.toExponential(1)}`
  );
}

export function disagreement(name: string, first: Divergence): string {
  return `${name} differs from reference: ${describe(first)}`;
}

function describe({ layer, op, value, worst, of, problem }: Divergence): string {
  const place = layer === undefined ? "" : `layers.${layer}`;
  const operation = op === undefined ? "" : `${op} (${value})`;
  const where = [place, operation].filter((part) => part !== "").join(", ");
  if (where === "") return problem;
  const error = worst === null ? problem : `error ${times(worst)} its ${of}`;
  const whole = op === undefined ? " as a whole, though each value in it agrees by itself" : "";
  return `first in ${where}${whole}: ${error}`;
}

/**
 * The first place where something exceeds what is allowed. `order` lists the values of the model's graph; at equal
 * places an operation alone, whose bound is derived, comes before a layer, whose tolerance is estimated.
 */
export function firstDivergence(
  order: readonly string[],
  { ops, layers, endToEnd }: Pick<Compared, "ops" | "layers" | "endToEnd">,
): Divergence | null {
  const places: { readonly at: number; readonly divergence: Divergence }[] = [];
  for (const finding of ops.filter(({ worst }) => exceeds(worst))) {
    const { layer, op, value, worst, problem } = finding;
    places.push({
      at: order.indexOf(fullName(finding)),
      divergence: { ...(layer !== undefined && { layer }), op, value, worst, of: "bound", problem: problem ?? "" },
    });
  }
  for (const finding of layers.filter(({ worst }) => exceeds(worst))) {
    const { layer, worst, problem } = finding;
    const inner = finding.values.find((value) => exceeds(value.worst));
    places.push({
      at: order.indexOf(fullName({ layer, value: inner?.value ?? "out" })) + 0.5,
      divergence: {
        layer,
        ...(inner && { op: inner.op, value: inner.value }),
        worst: inner === undefined ? worst : inner.worst,
        of: "tolerance",
        problem: problem ?? "",
      },
    });
  }
  const [first] = places.sort((a, b) => a.at - b.at);
  if (first !== undefined) return first.divergence;
  if (endToEnd.problem === null) return null;
  return { worst: endToEnd.worst, of: "tolerance", problem: `end to end: ${endToEnd.problem}` };
}

/** "layers.3.wo", "logits" */
function fullName({ layer, value }: { readonly layer?: number; readonly value: string }): string {
  return layer === undefined ? value : `layers.${layer}.${value}`;
}
