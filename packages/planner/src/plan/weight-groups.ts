// Which weights are stored together. Linears that read the same value in the same format become one matrix, so that q,
// k and v, or gate and up, are one multiplication. Weights are shared by all programs on a device, so one layout is
// decided from every graph that will use them: two weights stand together where each graph that has either of them
// reads both with the same value, once.

import {
  columnCount,
  type FormatName,
  type Graph,
  type Node,
  type NodeOf,
  type OpName,
  type Ops,
  PolyllamaError,
  rowCount,
  type ValueName,
  type WeightInfo,
  type WeightName,
} from "@polyllama/core";

/** How a backend wants its weights stored. */
export interface WeightPreferences {
  /**
   * Rows of every member of a group are a multiple of this, so that each part of its output starts at a whole vector.
   */
  readonly rowMultiple: number;
  /** Whether the rows of gate and up alternate, so that one invocation has both. */
  readonly alternates: boolean;
  /** Whether the host looks up rows of embeddings, so that their tables are not stored for it. */
  readonly hostEmbeddings?: boolean;
}

/** A matrix as it is stored: the rows of its members one below another, or alternating. */
export interface WeightGroup {
  readonly members: readonly WeightInfo[];
  readonly format: FormatName;
  /** Of all members together. */
  readonly rows: number;
  readonly columns: number;
  /** Rows of each of two members whose rows alternate, the first's first; otherwise 0. */
  readonly alternating: number;
}

/**
 * Where a weight is: rows `firstRow` and following of its group; with alternating rows, columns of the group's output.
 */
export interface WeightPlace {
  readonly group: WeightGroup;
  readonly firstRow: number;
}

/** How a device lays out the weights of its graphs. */
export interface StoredWeights {
  /** Matrices, each stored together with those that are multiplied by the same input. */
  readonly groups: readonly WeightGroup[];
  /** By matrix: its group and where its rows begin in it. */
  readonly places: ReadonlyMap<WeightName, WeightPlace>;
  /** Weights of norms, each stored alone as f32. */
  readonly vectors: readonly WeightInfo[];
}

interface Use {
  readonly weight: WeightName;
  readonly as: "matrix" | "table" | "vector";
  /** What a matrix is multiplied with; one that is used otherwise stands alone. */
  readonly x?: ValueName;
}

/** Ops that have parameters. */
type WeightedOp = { [Op in OpName]: Ops[Op]["parameters"] extends readonly [] ? never : Op }[OpName];

/** Whether a weight is a vector. */
type IsVector = (weight: WeightName) => boolean;

const uses: { readonly [Op in WeightedOp]: (node: NodeOf<Op>, isVector: IsVector) => readonly Use[] } = {
  embedding: ({ table }) => [{ weight: table, as: "table" }],
  rmsNorm: ({ weight }) => [{ weight, as: "vector" }],
  linear: ({ weight, x }) => [{ weight, as: "matrix", x }],
  logProbability: ({ weight }) => [{ weight, as: "matrix" }],
  logProbabilityGrad: ({ weight }) => [{ weight, as: "matrix" }],
  rmsNormGrad: ({ weight }) => [{ weight, as: "vector" }],
  linearInputGrad: ({ weight }) => [{ weight, as: "matrix" }],
  adamw: ({ weight, firstMoment, secondMoment }, isVector) =>
    [weight, firstMoment, secondMoment].map((each) => ({ weight: each, as: isVector(each) ? "vector" : "matrix" })),
};

function usesIn({ nodes, weights }: Graph): readonly (Use & Pick<Node, "op">)[] {
  const vectors = new Set(weights.filter(({ shape }) => shape.length === 1).map(({ name }) => name));
  // The compiler does not see that the entry found by a node's op takes nodes of that op.
  const table = uses as Readonly<Record<string, (node: Node, isVector: IsVector) => readonly Use[]>>;
  return nodes.flatMap((node) => {
    const found = table[node.op]?.(node, (weight) => vectors.has(weight)) ?? [];
    return found.map((use) => ({ ...use, op: node.op }));
  });
}

/**
 * Decides how the weights of the given graphs are stored.
 *
 * @param infos Every weight of the graphs: shape and format.
 */
export function groupWeights(
  graphs: readonly Graph[],
  infos: ReadonlyMap<WeightName, WeightInfo>,
  preferences: WeightPreferences,
): StoredWeights {
  const used = graphs.map((graph) => usesOf(graph, preferences));
  const vectors = new Map<WeightName, WeightInfo>();
  const together = new Map<string, Set<WeightName>>();
  for (const [weight, { as }] of used.flatMap((byWeight) =>
    [...byWeight].map(([name, [use]]) => [name, use!] as const),
  )) {
    const info = infos.get(weight)!; // checkWeights has seen that all are there
    if (as === "vector") {
      vectors.set(weight, info);
      continue;
    }
    const readers = used.map((byWeight) => byWeight.get(weight) ?? []);
    const alone =
      rowCount(info) % preferences.rowMultiple !== 0 ||
      readers.some((found) => found.length > 1 || (found.length === 1 && found[0]!.x === undefined));
    const key = JSON.stringify(alone ? [weight] : [info.format, ...readers.map(([use]) => use?.x ?? null)]);
    together.set(key, (together.get(key) ?? new Set()).add(weight));
  }
  const pairs = preferences.alternates ? graphs.flatMap(gatesAndUps) : [];
  const groups: WeightGroup[] = [];
  const places = new Map<WeightName, WeightPlace>();
  for (const names of together.values()) {
    const pair = names.size === 2 ? pairs.find((pair) => pair.every((name) => names.has(name))) : undefined;
    const members = (pair ?? [...names]).map((name) => infos.get(name)!);
    const [{ format }, columns] = [members[0]!, columnCount(members[0]!)];
    const rows = members.reduce((sum, info) => sum + rowCount(info), 0);
    const group = { members, format, rows, columns, alternating: pair === undefined ? 0 : rows / 2 };
    groups.push(group);
    let firstRow = 0;
    for (const info of members) {
      places.set(info.name, { group, firstRow });
      firstRow += rowCount(info);
    }
  }
  return { groups, places, vectors: [...vectors.values()] };
}

/**
 * Checks that stored weights serve a graph: all are there, and those that stand together are multiplied with the same
 * value.
 *
 * @throws {PolyllamaError} `ERR_PARAMETERS`
 */
export function assertStored(graph: Graph, { places, vectors }: StoredWeights, preferences: WeightPreferences): void {
  const used = usesOf(graph, preferences);
  const refuse = (weight: WeightName, problem: string): never => {
    const remedy = "Load them for this graph, too.";
    throw new PolyllamaError(
      "ERR_PARAMETERS",
      `These parameters were loaded for other graphs: "${weight}" ${problem}. ${remedy}`,
    );
  };
  for (const [weight, [use]] of used) {
    const place = places.get(weight);
    const isThere = use!.as === "vector" ? vectors.some(({ name }) => name === weight) : place !== undefined;
    if (!isThere) refuse(weight, "is not among them");
    if (place === undefined || place.group.members.length === 1) continue;
    const alike = place.group.members.every(({ name }) => {
      const uses = used.get(name) ?? [];
      return uses.length === 1 && uses[0]!.as === "matrix" && uses[0]!.x === use!.x;
    });
    if (!alike) refuse(weight, "is stored with others that this graph does not multiply with the same value");
  }
}

/**
 * Checks that stored weights serve a graph on a backend whose kernels take parts of what is stored together.
 *
 * @param serves Whether a matrix can be used so.
 * @throws {PolyllamaError} `ERR_PARAMETERS`
 */
export function assertPlaced(
  graph: Graph,
  { places, vectors }: StoredWeights,
  serves: (group: WeightGroup, as: "matrix" | "table") => boolean,
): void {
  for (const use of usesIn(graph)) {
    const group = places.get(use.weight)?.group;
    const placed =
      use.as === "vector" ? vectors.some(({ name }) => name === use.weight) : group && serves(group, use.as);
    if (placed) continue;
    throw new PolyllamaError(
      "ERR_PARAMETERS",
      `The parameters were not loaded for ${use.op} with "${use.weight}"; name this graph, too, when they are loaded.`,
    );
  }
}

function usesOf(graph: Graph, { hostEmbeddings = false }: WeightPreferences): ReadonlyMap<WeightName, readonly Use[]> {
  const byWeight = new Map<WeightName, Use[]>();
  for (const use of usesIn(graph)) {
    if (use.as === "table" && hostEmbeddings) continue;
    byWeight.set(use.weight, [...(byWeight.get(use.weight) ?? []), use]);
  }
  return byWeight;
}

/** Pairs of different weights whose outputs are gate and up of a swiglu. */
function gatesAndUps({ nodes }: Graph): readonly (readonly [WeightName, WeightName])[] {
  const weights = new Map<ValueName, WeightName>();
  for (const node of nodes) if (node.op === "linear") weights.set(node.output, node.weight);
  return nodes.flatMap((node) => {
    if (node.op !== "swiglu") return [];
    const [gate, up] = [weights.get(node.gate), weights.get(node.up)];
    return gate === undefined || up === undefined || gate === up ? [] : [[gate, up] as const];
  });
}
