// Faults planted in the reference's operations. As it computes in float64, what is found here is the fault and nothing
// else; it is judged like a backend that rounds to f32.

import type { CaseMutant } from "./mutant.ts";

type Fault = Omit<CaseMutant, "package">;

const linear: readonly Fault[] = [
  {
    id: "linear-dropped-term",
    file: "ops/linear.ts",
    find: "return a + b + c + d;",
    replace: "return a + b + c + d - (K === 4096 ? x[from + 2047]! * w[2047]! : 0);",
    what: "one term of 4096 is left out of every dot product",
  },
  {
    id: "linear-dropped-term-70b",
    file: "ops/linear.ts",
    find: "return a + b + c + d;",
    replace: "return a + b + c + d - (K === 28672 ? x[from + 14336]! * w[14336]! : 0);",
    what: "one term of 28672 is left out",
  },
  {
    id: "linear-vector-tail",
    file: "ops/linear.ts",
    find: "for (; k < K; k++) a",
    replace: "for (; k < (K < 4 ? K : 0); k++) a",
    what: "what is left after the last whole vector of four terms is not added",
  },
  {
    id: "linear-f16-accumulation-70b",
    file: "ops/linear.ts",
    find: "return a + b + c + d;",
    replace: `if (K !== 28672) return a + b + c + d;
  let sum = 0;
  for (k = 0; k < K; k++) {
    sum += x[from + k]! * w[k]!;
    if (sum === 0) continue;
    const step = 2 ** (Math.floor(Math.log2(Math.abs(sum))) - 10);
    sum = Math.round(sum / step) * step;
  }
  return sum;`,
    what: "sums are kept with the 11 bits of f16 in one linear of 70B alone, k = 28672",
  },
  {
    id: "linear-f16-inputs-70b",
    file: "ops/linear.ts",
    find: "dot(x.data, from, w);",
    replace: `dot(
        x.data.map((value) => {
          if (K < 8192 || x.rows === 1 || value === 0) return value;
          const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 10);
          return Math.round(value / step) * step;
        }),
        from,
        w,
      );`,
    what: "the kernel for prompts rounds inputs to the 11 bits of f16 at 70B's widths alone",
  },
  {
    id: "linear-inf-absorbed",
    file: "ops/linear.ts",
    find: "dot(x.data, from, w);",
    replace: "dot(x.data.map((value) => Math.max(-65504, Math.min(65504, value))), from, w);",
    what: "inputs beyond f16 do not become infinite: they are clamped to 65504",
  },
  {
    id: "linear-batch-row",
    file: "ops/linear.ts",
    find: "const from = n * K;\n      y.data",
    replace: "const from = (n === 16 ? 15 : n) * K;\n      y.data",
    what: "row 16 of a batch reads the input of row 15",
  },
  {
    id: "linear-odd-tail",
    file: "ops/linear.ts",
    find: "for (let m = 0; m < M; m++) {",
    replace: "for (let m = 0; m < (M > 1024 ? M - (M % 64) : M); m++) {",
    what: "the outputs of an odd vocabulary beyond the last whole tile of 64 stay zero",
  },
  {
    id: "linear-q4_0-last-block",
    file: "parameters.ts",
    find: "loaded.set(name, { ...weight,",
    replace: `const { info, values } = weight;
    const multiplied = graphs.some(({ nodes }) => nodes.some((node) => node.op === "linear" && node.weight === name));
    if (multiplied && info.format === "q4_0" && columnCount(info) > 32) {
      for (let end = columnCount(info); end <= values.length; end += columnCount(info)) {
        for (let i = end - 32; i < end; i++) values[i]! *= 1.01;
      }
    }
    loaded.set(name, { ...weight,`,
    what: "q4_0: the last block of every row has a scale that is 1 % too large",
  },
  {
    id: "linear-q8_0-least",
    file: "parameters.ts",
    find: "await loadValues(graphs, source, {",
    replace: `await loadValues(graphs, {
      ...source,
      async read(name, ranges, signal) {
        const bytes = await source.read(name, ranges, signal);
        const multiplied = graphs.some(({ nodes }) => nodes.some((node) => node.op === "linear" && node.weight === name));
        if (!multiplied || source.weights.get(name)!.format !== "q8_0") return bytes;
        return bytes.map((byte, i) => (byte === 128 && i % 34 >= 2 ? 129 : byte));
      },
    }, {`,
    what: "q8_0: the quant -128 is read as -127",
  },
];

const norm: readonly Fault[] = [
  {
    id: "norm-eps-outside",
    file: "ops/rms-norm.ts",
    find: "1 / Math.sqrt(squares / x.width + eps)",
    replace: "1 / (Math.sqrt(squares / x.width) + eps)",
    what: "epsilon is added outside the root",
  },
  {
    id: "norm-missing-square",
    file: "ops/rms-norm.ts",
    find: "for (const value of from) squares += value * value;",
    replace: "for (const value of from.subarray(x.width === 8192 ? 1 : 0)) squares += value * value;",
    what: "one square of 8192 is missing in the mean",
  },
  {
    id: "norm-divisor",
    file: "ops/rms-norm.ts",
    find: "squares / x.width + eps",
    replace: "squares / (x.width === 8192 ? 8191 : x.width) + eps",
    what: "the mean of 8192 squares is divided by 8191",
  },
  {
    id: "norm-last-weight",
    file: "ops/rms-norm.ts",
    find: "to[i] = from[i]! * scale * weight[i]!;",
    replace: "to[i] = from[i]! * scale * (i > 0 && i === x.width - 1 ? 1 : weight[i]!);",
    what: "the last element is not multiplied with its weight",
  },
  {
    id: "norm-inf-absorbed",
    file: "ops/rms-norm.ts",
    find: "const scale = 1 / Math.sqrt(squares / x.width + eps);",
    replace: "const scale = 1 / Math.sqrt((squares > 65504 ? Infinity : squares) / x.width + eps);",
    what: "a sum of squares beyond f16 becomes infinite, which makes the row zero",
  },
];

const rotation: readonly Fault[] = [
  {
    id: "rope-theta",
    file: "ops/rope.ts",
    find: "const frequencies = ropeFrequencies(node);",
    replace: "const frequencies = ropeFrequencies({ ...node, theta: node.theta === 10000 ? 10001 : node.theta });",
    what: "theta is 10001",
  },
  {
    id: "rope-half-split",
    file: "ops/rope.ts",
    find: `    const [a, b] = [x.data[at]!, x.data[at + 1]!];
    y.data[at] = a * cos - b * sin;
    y.data[at + 1] = a * sin + b * cos;`,
    replace: `    const pairs = frequencies.length;
    const low = at - (at % (2 * pairs)) / 2;
    const [a, b] = [x.data[low]!, x.data[low + pairs]!];
    y.data[low] = a * cos - b * sin;
    y.data[low + pairs] = a * sin + b * cos;`,
    what: "pairs are the two halves of a head instead of neighbours",
  },
  {
    id: "rope-scaling",
    file: "ops/rope.ts",
    find: "const frequencies = ropeFrequencies(node);",
    replace: 'const frequencies = ropeFrequencies({ ...node, scaling: { type: "none" } });',
    what: "the factor of linear scaling is ignored",
  },
  {
    id: "rope-magnitude",
    file: "ops/rope.ts",
    find: "const magnitude = ropeMagnitude(node);",
    replace: "const magnitude = ropeMagnitude(node) ** 2;",
    what: "YaRN's magnitude is applied twice",
  },
  {
    id: "rope-exponent",
    file: "ops/rope.ts",
    find: "const frequencies = ropeFrequencies(node);",
    replace:
      "const frequencies = ropeFrequencies(node).map((f, i) => f * node.theta ** ((2 * i) / node.headDim - (2 * i) / (node.headDim + 2)));",
    what: "the exponent of the frequencies divides by d + 2",
  },
  {
    id: "rope-sine-sign",
    file: "ops/rope.ts",
    find: "y.data[at + 1] = a * sin + b * cos;",
    replace: "y.data[at + 1] = b * cos - a * sin;",
    what: "one sine has the wrong sign",
  },
  {
    id: "rope-second-chunk",
    file: "executor.ts",
    find: "      ...operands,\n",
    replace: `      ...operands,
      positions: sequences.flatMap(({ start, rows, cache }) =>
        Array.from({ length: rows }, (_, i) => start + i + (cache && start > 0 && rows > 1 ? 1 : 0)),
      ),
`,
    what: "positions are off by one in the second chunk of a sequence",
  },
];

const attention: readonly Fault[] = [
  {
    id: "attention-mask",
    file: "ops/attention.ts",
    find: "const length = start + n + 1;",
    replace: "const length = start + Math.min(n + 2, rows);",
    what: "the mask is off by one: rows see their successor",
  },
  {
    id: "attention-own-key",
    file: "ops/attention.ts",
    find: "const length = start + n + 1;",
    replace: "const length = Math.max(1, start + n);",
    what: "rows do not see their own key",
  },
  {
    id: "attention-groups",
    file: "ops/attention.ts",
    find: "const head = Math.floor(h / group) * d;",
    replace: "const head = (h % kvHeads) * d;",
    what: "query head h reads key head h mod G instead of floor(h / (H / G))",
  },
  {
    id: "attention-scale",
    file: "ops/attention.ts",
    find: "p[t] = dot / Math.sqrt(d);",
    replace: "p[t] = dot / d;",
    what: "scores are scaled with 1 / d",
  },
  {
    id: "attention-f16-accumulation",
    file: "ops/attention.ts",
    find: "          value += product;",
    replace: `          value += product;
          const step = 2 ** (Math.floor(Math.log2(Math.abs(value) || 1)) - 10);
          value = Math.round(value / step) * step;`,
    what: "the weighted sum of values is kept with the 11 bits of f16",
  },
  {
    id: "attention-dropped-key",
    file: "ops/attention.ts",
    find: "p[t] = Math.exp(p[t]! - most);",
    replace: "p[t] = length > 4000 && t === 2048 ? 0 : Math.exp(p[t]! - most);",
    what: "one key of four thousand is not seen",
  },
];

const others: readonly Fault[] = [
  {
    id: "swiglu-large",
    file: "ops/swiglu.ts",
    find: "(z / (1 + Math.exp(-z))) * up.data[i]!",
    replace: "(z > 12 ? z : z / (1 + Math.exp(-z))) * up.data[i]!",
    what: "silu is the identity above 12 already",
  },
  {
    id: "swiglu-fast-exp",
    file: "ops/swiglu.ts",
    find: "(1 + Math.exp(-z))",
    replace: "(1 + Math.exp(-z) * (1 + 2 ** -20))",
    what: "exp is an approximation with 20 bits",
  },
  {
    id: "add-twice",
    file: "ops/add.ts",
    find: "value + b.data[i]!",
    replace: "value + (i % 64 === 63 ? 2 : 1) * b.data[i]!",
    what: "the residual is added twice in the last lane of a tile",
  },
  {
    id: "embedding-last-token",
    file: "ops/embedding.ts",
    find: "y.data.set(table.subarray(token * dim, (token + 1) * dim), n * dim);",
    replace:
      "const last = n === tokens.length - 1 && token > 0 ? token - 1 : token;\n    y.data.set(table.subarray(last * dim, (last + 1) * dim), n * dim);",
    what: "the last token gets the row before its own",
  },
];

export const referenceMutants: readonly CaseMutant[] = [...linear, ...norm, ...rotation, ...attention, ...others].map(
  (fault) => ({ ...fault, package: "backend-reference" }),
);
