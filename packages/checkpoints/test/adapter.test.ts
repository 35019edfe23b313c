// Adapters in PEFT's layout: what is read, by what it is scaled, in which order rows stand, what is refused, and that
// what is written is read again. Products are computed here in the files' own order, row by row.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type AdapterSource, adapterOf, llamaGraph, type WeightSource } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { signed } from "@polyllama/test-support/random";
import { randomSource } from "@polyllama/test-support/weights";
import { describe, expect, test } from "vitest";
import { mergeAdapter, openAdapter, openCheckpoint, quantized, writeAdapter } from "../src/index.ts";
import { failure, folderWith, huggingFaceConfig, type RawTensor, safetensors, small } from "./support.ts";
import { torchFile } from "./torch-writer.ts";

/** A matrix of a file: its rows as Hugging Face orders them. */
interface Matrix {
  readonly name: string;
  readonly shape: readonly [rows: number, columns: number];
  readonly values: Float32Array;
}

const next = signed(5);
const matrix = (name: string, rows: number, columns: number): Matrix => {
  const values = Float32Array.from({ length: rows * columns }, () => next());
  return { name, shape: [rows, columns], values };
};
const raw = ({ name, shape, values }: Matrix): RawTensor => {
  return { name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
};

const { dim: D, heads: H, kvHeads: G, headDim: d, hiddenDim: F, vocabSize: V } = small;
const modules = {
  "self_attn.q_proj": [H * d, D],
  "self_attn.k_proj": [G * d, D],
  "self_attn.v_proj": [G * d, D],
  "self_attn.o_proj": [D, H * d],
  "mlp.gate_proj": [F, D],
  "mlp.up_proj": [F, D],
  "mlp.down_proj": [D, F],
} as const;

const whole = { name: "base_model.model.", modules };
const pair = (module: keyof typeof modules, rank: number, layer = 1): readonly [a: Matrix, b: Matrix] => {
  const [rows, columns] = modules[module];
  const stem = `${whole.name}model.layers.${layer}.${module}`;
  return [matrix(`${stem}.lora_A.weight`, rank, columns), matrix(`${stem}.lora_B.weight`, rows, rank)];
};

const config = { peft_type: "LORA", task_type: "CAUSAL_LM", r: 2, lora_alpha: 3, target_modules: ["q_proj"] };

function folder(matrices: readonly Matrix[], fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return folderWith({
    "adapter_config.json": JSON.stringify({ ...config, ...fields }),
    "adapter_model.safetensors": safetensors(matrices.map(raw)),
  });
}

async function values(source: WeightSource, name: string): Promise<Float32Array> {
  const { format, shape } = source.weights.get(name)!; // tests ask for what there is
  const found = new Float32Array(shape.reduce((a, b) => a * b, 1));
  formats[format].dequantize(await source.read(name), found);
  return found;
}

describe("an adapter of PEFT", () => {
  test.each(["self_attn.q_proj", "self_attn.k_proj"] as const)(
    "has the rows of B of %s in the order that pairs are rotated in here",
    async (module) => {
      const [a, b] = pair(module, 2);
      await using adapter = await openAdapter(await folder([a, b]), small);
      const name = module === "self_attn.q_proj" ? "layers.1.attention.wq.weight" : "layers.1.attention.wk.weight";
      const [aName, bName] = adapterOf(name);
      expect([...adapter.weights.keys()]).toEqual([aName, bName]);
      expect(await values(adapter, aName)).toEqual(a.values);
      const rows: number[] = [];
      for (let head = 0; head < b.shape[0] / d; head++) {
        for (let i = 0; i < d / 2; i++) rows.push(head * d + i, head * d + d / 2 + i); // a pair: both halves' i-th
      }
      const found = await values(adapter, bName);
      expect([...found]).toEqual(rows.flatMap((row) => [...b.values.subarray(2 * row, 2 * row + 2)]));
      const some = await adapter.read(bName, { rows: { first: 3, count: 4 } });
      expect(new Float32Array(some.buffer)).toEqual(found.subarray(6, 14));
    },
  );

  test("merged here is the model that was merged in its own files", async () => {
    const names = Object.entries(modules).flatMap(([module, [rows, columns]]) =>
      [0, 1].map((layer) => matrix(`model.layers.${layer}.${module}.weight`, rows, columns)),
    );
    const others = [
      matrix("model.embed_tokens.weight", V, D),
      matrix("lm_head.weight", V, D),
      ...[
        "model.norm",
        ...[0, 1].flatMap((l) => ["input", "post_attention"].map((n) => `model.layers.${l}.${n}_layernorm`)),
      ].map((name) => matrix(`${name}.weight`, 1, D)),
    ];
    const [rank, alpha] = [3, 5];
    const pairs = (Object.keys(modules) as (keyof typeof modules)[]).map((module) => pair(module, rank));
    const embeddings = matrix("base_model.model.model.embed_tokens.weight", V, D);
    const merged = names.map((base): Matrix => {
      const [a, b] =
        pairs.find(([first]) => first.name === `base_model.model.${base.name.replace(".weight", ".lora_A.weight")}`) ??
        [];
      if (a === undefined || b === undefined) return base;
      const sums = base.values.map((value, at) => {
        const [row, column] = [Math.floor(at / base.shape[1]), at % base.shape[1]];
        let sum = 0;
        for (let i = 0; i < rank; i++) sum += b.values[row * rank + i]! * a.values[i * base.shape[1] + column]!;
        return value + (alpha / rank) * sum;
      });
      return { ...base, values: sums };
    });
    const files = (all: readonly Matrix[]) => ({
      "config.json": JSON.stringify(huggingFaceConfig(small)),
      "model.safetensors": safetensors(
        all.map((each) => (each.shape[0] === 1 ? { ...raw(each), shape: [D] } : raw(each))),
      ),
    });
    await using base = await openCheckpoint(await folderWith(files([...names, ...others])));
    await using expected = await openCheckpoint(
      await folderWith(files([...merged, { ...embeddings, name: "model.embed_tokens.weight" }, ...others.slice(1)])),
    );
    const fields = { r: rank, lora_alpha: alpha, modules_to_save: ["embed_tokens"] };
    await using adapter = await openAdapter(await folder([...pairs.flat(), embeddings], fields), small);
    const own = mergeAdapter(base, adapter);
    for (const { name } of llamaGraph(small).weights) {
      expect([name, await values(own, name)]).toEqual([name, await values(expected, name)]);
    }
    expect(own.config).toEqual(base.config);
    const part = { rows: { first: 5, count: 3 }, columns: { first: 4, count: 7 } };
    const wk = "layers.1.attention.wk.weight";
    expect(await own.read(wk, part)).toEqual(await expected.read(wk, part));
    expect(own.locate?.(wk)).toBeUndefined();
    expect(own.locate?.("layers.0.attention.wv.weight")).toEqual(base.locate?.("layers.0.attention.wv.weight"));
    expect(await own.fingerprint()).not.toBe(await base.fingerprint());
  });

  test("is scaled as its configuration says, with patterns and rsLoRA", async () => {
    const all = [pair("self_attn.q_proj", 2, 0), pair("self_attn.q_proj", 2), pair("mlp.up_proj", 4)].flat();
    const scales = async (fields: object) => {
      await using adapter = await openAdapter(await folder(all, { rank_pattern: { up_proj: 4 }, ...fields }), small);
      return [...adapter.adapters.values()].map(({ scale }) => scale);
    };
    expect(await scales({})).toEqual([3 / 2, 3 / 2, 3 / 4]);
    expect(await scales({ use_rslora: true })).toEqual([3 / Math.sqrt(2), 3 / Math.sqrt(2), 3 / 2]);
    expect(await scales({ alpha_pattern: { "layers.1.self_attn.q_proj": 8, proj: 5 } })).toEqual([3 / 2, 4, 3 / 4]);
    expect(await scales({ alpha_pattern: { "^model.layers.0.self_attn.q_proj": 8, "^q_proj": 9 } })).toEqual([
      4,
      3 / 2,
      3 / 4,
    ]);
    expect(await scales({ lora_alpha: undefined })).toEqual([4, 4, 2]); // PEFT's default of 8
  });

  test("is read from adapter_model.bin, and from keys of other versions", async () => {
    const [a, b] = pair("mlp.down_proj", 2);
    const embeddings = matrix("base_model.model.model.embed_tokens.modules_to_save.default.weight", V, D);
    const named = [
      { ...a, name: a.name.replace(".weight", ".default.weight") },
      { ...b, name: b.name.replace(".weight", ".default.weight") },
      embeddings,
      matrix("base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq", 1, d / 2),
    ];
    const path = await folderWith({
      "adapter_config.json": JSON.stringify({ ...config, base_model_name_or_path: "meta-llama/Llama-2-7b-hf" }),
      "adapter_model.bin": await torchFile(named.map(raw)),
    });
    await using adapter = await openAdapter(path, small);
    const [aName, bName] = adapterOf("layers.1.feed_forward.w2.weight");
    expect(await values(adapter, aName)).toEqual(a.values);
    expect(await values(adapter, bName)).toEqual(b.values);
    expect(await values(adapter, "tok_embeddings.weight")).toEqual(embeddings.values);
    expect(adapter.notices).toEqual([expect.stringContaining("rotary")]);
    expect(adapter.base).toBe("meta-llama/Llama-2-7b-hf");
    await using file = await openAdapter(join(path, "adapter_model.bin"), small);
    expect([...file.weights.keys()]).toEqual([...adapter.weights.keys()]);
  });

  const good = pair("mlp.down_proj", 2);
  test.each([
    [{ peft_type: "LOHA" }, "peft_type is"],
    [{ peft_type: undefined }, "no peft_type"],
    [{ task_type: "SEQ_CLS" }, "task_type is"],
    [{ use_dora: true }, "use_dora is true"],
    [{ fan_in_fan_out: true }, "fan_in_fan_out is true"],
    [{ bias: "lora_only" }, "bias is"],
    [{ lora_bias: true }, "lora_bias is true"],
    [{ layer_replication: [[0, 2]] }, "layer_replication is"],
    [{ trainable_token_indices: [3] }, "trainable_token_indices is"],
    [{ init_lora_weights: "pissa_niter_4" }, "init_lora_weights is"],
    [{ rank_pattern: { ".*q_proj|k_proj": 4 } }, "regular expression"],
    [{ r: 2.5 }, "r is"],
    [{ lora_alpha: "16" }, "lora_alpha is"],
  ])("with %j is refused by name", async (fields, message) => {
    const error = await failure(openAdapter(await folder(good, fields), small));
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT", message: expect.stringContaining(message) });
    expect(error.message).toContain("adapter_config.json");
  });

  test.each([
    ["other half, lora_A, is missing", [good[1]], {}],
    ["other half, lora_B, is missing", [good[0]], {}],
    ["make it [3,40]", good, { r: 3 }],
    ["no matrix of that name", [...good, matrix("base_model.model.model.embed_tokens.lora_embedding_A", 2, V)], {}],
    [
      "no matrix of that name",
      [...good, matrix(`${good[0].name.replace("lora_A.weight", "lora_magnitude_vector")}`, 1, D)],
      {},
    ],
    ["of 2 layers has no such", pair("mlp.up_proj", 2, 7), {}],
    ["polyllama extend-vocab", [...good, matrix("base_model.model.lm_head.weight", V + 3, D)], {}],
    [
      "only matrices of layers",
      [matrix("base_model.model.lm_head.lora_A.weight", 2, D), matrix("base_model.model.lm_head.lora_B.weight", V, 2)],
      {},
    ],
    ["no tensors of an adapter", [], {}],
  ])("is refused where %s", async (message, matrices, fields) => {
    const error = await failure(openAdapter(await folder(matrices, fields), small));
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT", message: expect.stringContaining(message) });
  });

  test("is refused without its parts, and for another model", async () => {
    const lone = await folderWith({ "adapter_model.safetensors": safetensors(good.map(raw)) });
    expect((await failure(openAdapter(lone, small))).message).toContain("adapter_config.json: this file is missing");
    const empty = await folderWith({ "adapter_config.json": JSON.stringify(config) });
    expect((await failure(openAdapter(empty, small))).message).toContain("adapter_model.bin");
    expect((await failure(openAdapter("hf:owner/name", small))).message).toContain("Download it");
    await using adapter = await openAdapter(await folder(good), small);
    const other = randomSource(llamaGraph({ ...small, hiddenDim: 48 }));
    expect(() => mergeAdapter(other, adapter)).toThrow("has no such weight, or one of another shape");
    const tied = { ...small, tiedEmbeddings: true };
    const head = await folder([...good, matrix("base_model.model.lm_head.weight", V, D)]);
    expect((await failure(openAdapter(head, tied))).message).toContain("is its embedding table");
  });
});

/** An adapter in memory: of every layer's wq and of one w2, and two weights that it brings whole. */
function inMemory(): AdapterSource {
  const lowRanks = new Map([
    ["layers.0.attention.wq.weight", { rank: 2, scale: 8 }],
    ["layers.1.attention.wq.weight", { rank: 2, scale: 8 }],
    ["layers.1.feed_forward.w2.weight", { rank: 3, scale: 5 / 3 }],
  ]);
  const shapes = new Map(llamaGraph(small).weights.map(({ name, shape }) => [name, shape]));
  const graph = llamaGraph(small);
  const specs = [...lowRanks].flatMap(([name, { rank }]) => {
    const [rows = 0, columns = 0] = shapes.get(name)!; // of the graph
    const [a, b] = adapterOf(name);
    return [
      { name: a, shape: [rank, columns] },
      { name: b, shape: [rows, rank] },
    ];
  });
  const kept = ["tok_embeddings.weight", "norm.weight"].map((name) => ({ name, shape: shapes.get(name)! })); // likewise
  return { ...randomSource({ ...graph, weights: [...specs, ...kept] }), adapters: lowRanks };
}

describe("a written adapter", () => {
  test("has PEFT's names and fields, and is read as it was", async () => {
    const path = join(await folderWith(), "adapter");
    const adapter = inMemory();
    await writeAdapter(path, adapter, small, { base: "owner/base" });
    expect(JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"))).toEqual({
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: "owner/base",
      r: 2,
      lora_alpha: 16,
      lora_dropout: 0,
      target_modules: ["model.layers.1.mlp.down_proj", "q_proj"],
      modules_to_save: ["embed_tokens", "model.norm"],
      rank_pattern: { "layers.1.mlp.down_proj": 3 },
      alpha_pattern: { "layers.1.mlp.down_proj": 5 },
      bias: "none",
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      use_rslora: false,
    });
    const file = await readFile(join(path, "adapter_model.safetensors"));
    const header = JSON.parse(file.toString("utf8", 8, 8 + Number(file.readBigUInt64LE(0))));
    expect(Object.keys(header).sort()).toEqual([
      "__metadata__",
      "base_model.model.model.embed_tokens.weight",
      "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
      "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
      "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight",
      "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight",
      "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight",
      "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight",
      "base_model.model.model.norm.weight",
    ]);
    await using read = await openAdapter(path, small);
    expect(read.base).toBe("owner/base");
    expect(new Map(read.adapters)).toEqual(adapter.adapters);
    for (const name of adapter.weights.keys()) expect(await read.read(name)).toEqual(await adapter.read(name));
    expect(read.weights.size).toBe(adapter.weights.size);
    // B of wq stands half-split in the file: its row 1, the second of the first pair, in the middle of the head.
    const [begin] = header["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"].data_offsets;
    const at = 8 + Number(file.readBigUInt64LE(0)) + begin + (d / 2) * 2 * 4;
    const second = await adapter.read("layers.0.attention.wq.weight.lora_b", { rows: { first: 1, count: 1 } });
    expect(new Uint8Array(file.subarray(at, at + 8))).toEqual(second);
    expect((await failure(writeAdapter(path, adapter, small))).message).toContain("exists already");
    await writeAdapter(path, adapter, small, { overwrite: true, rankStabilized: true });
    const fields = JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"));
    expect([fields.use_rslora, fields.lora_alpha]).toEqual([true, 8 * Math.sqrt(2)]);
    await using stabilized = await openAdapter(path, small);
    expect(stabilized.adapters.get("layers.0.attention.wq.weight")!.scale).toBeCloseTo(8, 14);
  });

  test("merges into blocks, which are made again where that is asked for", async () => {
    const wide = { ...small, dim: 64, headDim: 16, hiddenDim: 64 };
    const source = randomSource(llamaGraph(wide), () => "q4_0");
    const name = "layers.0.attention.wv.weight";
    const [a, b] = adapterOf(name);
    const graph = {
      ...llamaGraph(wide),
      weights: [
        { name: a, shape: [2, 64] },
        { name: b, shape: [32, 2] },
      ],
    };
    const adapter = { ...randomSource(graph), adapters: new Map([[name, { rank: 2, scale: 1 }]]) };
    const merged = mergeAdapter(source, adapter);
    expect(merged.weights.get(name)!.format).toBe("f32");
    const again = quantized(merged, "q8_0");
    expect([...again.weights.values()].map(({ format }) => format)).toContain("q4_0");
    expect(again.weights.get(name)!.format).toBe("q8_0");
    const [exact, close, before] = [await values(merged, name), await values(again, name), await values(source, name)];
    expect(exact).not.toEqual(before);
    const rowMost = Math.max(...exact.map(Math.abs));
    for (const [i, value] of exact.entries()) expect(Math.abs(close[i]! - value)).toBeLessThanOrEqual(rowMost / 127);
  });
});
