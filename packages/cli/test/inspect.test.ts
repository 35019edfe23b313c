import { poet } from "@polyllama/model-poet";
import { describe, expect, test, vi } from "vitest";
import { run } from "./captured.ts";

// Its answers take a process of their own, and are not what is tested here.
vi.mock("../src/webgpu/probe.ts", () => ({ probe: async () => ({ reason: "not asked" }) }));

interface Inspected {
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly parameters: number;
  readonly tokenizer: Readonly<Record<string, unknown>> | null;
  readonly tensors: readonly { name: string; shape: readonly number[]; format: string; bytes: number }[];
  readonly formats: readonly { format: string; tensors: number; bytes: number }[];
  readonly plans?: Readonly<Record<string, readonly string[]>>;
  readonly memory: readonly { backend: string; format: string; context: number; weights: number; total: number }[];
}

async function inspect(...args: string[]): Promise<Inspected> {
  const { code, stdout, stderr } = await run(["inspect", "--json", ...args]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, value) => total + value, 0);

describe("inspect --json", () => {
  test.each([
    ["llama-2-7b", 6_738_415_616],
    ["llama-2-13b", 13_015_864_320],
    ["llama-2-70b", 68_976_648_192],
  ])("counts the parameters of %s", async (name, parameters) => {
    const result = await inspect(`synthetic://${name}`);
    expect(result.parameters).toBe(parameters);
    expect(sum(result.tensors.map(({ shape }) => elements(shape)))).toBe(parameters);
    expect(result.config["contextLength"]).toBe(4096);
    const weightsOf = (format: string) =>
      result.memory.find((row) => row.backend === "cpu" && row.format === format && row.context === 512)!.weights;
    expect(weightsOf("q4_0")).toBeGreaterThan(parameters / 2);
    expect(weightsOf("q8_0")).toBeGreaterThan(weightsOf("q4_0"));
    expect(weightsOf("f16")).toBeGreaterThan(weightsOf("q8_0"));
  });

  test("describes the files of a checkpoint as they are", async () => {
    const result = await inspect(poet);
    expect(result.kind).toBe("safetensors");
    expect(result.config).toMatchObject({ dim: 256, layers: 6, heads: 8, kvHeads: 4, tiedEmbeddings: true });
    expect(result.tokenizer).toMatchObject({
      ...{ tokens: 6144, bos: 1, eos: 2, addBos: true, addEos: false },
      ends: [{ id: 2, piece: "</s>", from: expect.arrayContaining([expect.any(String)]) }],
      chatFormat: { name: "llama-2", from: "chat_template.jinja" },
    });
    expect(result.tensors.map(({ name }) => name)).toContain("model.layers.5.self_attn.q_proj.weight");
    expect(sum(result.formats.map(({ bytes }) => bytes))).toBe(sum(result.tensors.map(({ bytes }) => bytes)));
    expect([...new Set(result.memory.map(({ context }) => context))]).toEqual([512, 2048]);
  });
});

test("inspect --plan lists the steps of each mode", async () => {
  const { code, stdout } = await run(["inspect", "synthetic://llama-2-7b?format=q4_0", "--plan", "webgpu"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Plan of webgpu, decode\n {4}0 {2}embedding embedding q4_0 \[32000, 4096\] +-> b0$/m);
  expect(stdout).toMatch(/^ +5 {2}linear layers\.0\.gate q4_0 \[22016, 4096\] +b4 -> b5 +norm, swiglu$/m);
  expect(stdout).toMatch(/^ +\.\.\. 31 times more: steps 7 to 192$/m);
  expect(stdout).toMatch(/^Plan of webgpu, prefill\n/m);
  expect(stdout).toMatch(/linear logits q4_0 .* norm, selected rows$/m);
  const inJson = await inspect(poet, "--plan", "webgpu");
  expect(Object.keys(inJson.plans ?? {})).toEqual(["decode", "prefill"]);
  expect(inJson.plans!["decode"]![0]).toMatch(/embedding/);
});

test.each([
  ["cuda", ["decode", "prefill"], /converted layers/],
  ["cpu", ["all"], /converted/],
  ["onnxruntime", ["generation"], /norm of the sum/],
] as const)("the plans of %s have what it has kernels for", async (backend, modes, own) => {
  const { plans = {} } = await inspect("synthetic://llama-2-7b?format=q4_0", "--plan", backend);
  expect(Object.keys(plans)).toEqual(modes);
  expect(plans[modes.at(-1)!]!.join("\n")).toMatch(own);
});

test("inspect prints one line for all layers, or with --tensors one for each tensor", async () => {
  const short = await run(["inspect", "synthetic://llama-2-7b?format=q4_k_m"]);
  expect(short.stdout).toMatch(/6,738,415,616 parameters/);
  expect(short.stdout).toMatch(/layers\.\{0-31\}\.attention\.wq\.weight +\[4096, 4096\] +q4_k /);
  expect(short.stdout.split("\n").length).toBeLessThan(60);
  const long = await run(["inspect", "--tensors", "synthetic://llama-2-7b"]);
  expect(long.stdout).toMatch(/layers\.31\.attention\.wq\.weight +\[4096, 4096\] +q4_0 +9\.0 MiB/);
});

test("inspect says of text what counts: BOS, ends, and which chat format was recognised", async () => {
  const { stdout } = await run(["inspect", poet]);
  expect(stdout).toMatch(/^ {2}BOS +1, in front of every text$/m);
  expect(stdout).toMatch(/^ {2}ends at +2 "<\/s>" \(.+\)$/m);
  expect(stdout).toMatch(/^ {2}chat format +llama-2 \(chat_template\.jinja\)$/m);
});
