// Tensors in a file that Llama has not: passed over with a notice where they change nothing, else refused with a way
// out.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Checkpoint, memorySource, type OpenOptions, openCheckpoint, openGguf, writeGguf } from "../src/index.ts";
import {
  failure,
  folderWith,
  huggingFaceConfig,
  huggingFaceTensors,
  type RawTensor,
  safetensors,
  small,
} from "./support.ts";
import { metaShards, torchFile } from "./torch-writer.ts";

const tensors = huggingFaceTensors(small);

function extra(name: string, values: readonly number[], dtype = "F32"): RawTensor {
  const bytes = dtype === "F32" ? new Uint8Array(Float32Array.from(values).buffer) : Uint8Array.from(values);
  return { name, dtype, shape: [values.length], bytes };
}

async function open(more: readonly RawTensor[], options: OpenOptions = {}): Promise<Checkpoint> {
  const files = {
    "config.json": JSON.stringify(huggingFaceConfig(small)),
    "model.safetensors": safetensors([...tensors, ...more]),
  };
  return openCheckpoint(await folderWith(files), options);
}

describe("passed over", () => {
  test.each<[string, readonly number[], RegExp]>([
    ["model.layers.0.self_attn.rotary_emb.inv_freq", [1, 0.5], /rotary frequencies and tables/],
    ["model.rotary_emb.inv_freq", [1], /rotary/],
    ["rotary_emb.inv_freq", [1], /rotary/],
    ["model.layers.0.attention.rotary_pos_emb.inv_freq", [1], /rotary/],
    ["model.layers.0.self_attn.rotary_emb.cos_cached", [1], /rotary/],
    ["model.layers.0.self_attn.rotary_emb.sin_cached", [0], /rotary/],
    ["model.layers.0.attention.inner_attention.rope.freqs", [1], /rotary/],
    ["freqs_cis", [1], /rotary/],
    ["model.layers.0.self_attn.masked_bias", [-10000], /masks and positions/],
    ["model.layers.0.self_attn.bias", [1], /masks/],
    ["model.position_ids", [0, 1], /positions/],
    ["model.layers.0.self_attn._extra_state", [], /states of a training run/],
    ["model.layers.0.self_attn.q_proj.bias", [0, 0], /biases of zero/],
    ["model.layers.0.input_layernorm.bias", [0], /biases of zero/],
    ["lm_head.bias", [0], /biases of zero/],
    ["model.layers.0.self_attn.q_proj.lora_A.default.weight", [1, 2], /first halves of LoRA adapters/],
    ["model.layers.0.self_attn.q_proj.lora_B.default.weight", [0, 0], /LoRA adapters of zero/],
  ])("%s", async (name, values, notice) => {
    await using checkpoint = await open([extra(name, values)]);
    expect(checkpoint.notices).toEqual([expect.stringMatching(notice)]);
    expect(checkpoint.notices[0]).toContain(`: ${name}.`);
    expect(checkpoint.stored.map((tensor) => tensor.name)).toContain(name);
  });

  test("many of a kind make one notice", async () => {
    const names = Array.from({ length: 30 }, (_, layer) => `model.layers.${layer}.self_attn.rotary_emb.inv_freq`);
    await using checkpoint = await open(names.map((name) => extra(name, [1])));
    expect(checkpoint.notices).toEqual([
      expect.stringMatching(/: model\.layers\.0\.self_attn\.rotary_emb\.inv_freq and 29 more\.$/),
    ]);
  });

  test("rotary tables of elements that are not read here", async () => {
    await using checkpoint = await open([extra("model.rotary_emb.inv_freq", [1, 2], "U8")]);
    expect(checkpoint.notices.length).toBe(1);
  });

  test("nothing, where there is nothing", async () => {
    await using checkpoint = await open([]);
    expect(checkpoint.notices).toEqual([]);
  });
});

describe("refused, with a way out that exists", () => {
  test.each<[string, readonly number[], RegExp]>([
    ["model.layers.0.self_attn.q_proj.bias", [0, 1], /this bias is not zero/],
    ["model.layers.1.mlp.down_proj.bias", [1], /this bias is not zero/],
    [
      "model.layers.0.self_attn.q_proj.lora_B.default.weight",
      [0, 1e-30],
      /half of a LoRA adapter is not zero.*Merge it/,
    ],
    ["model.layers.0.self_attn.q_proj.scale", [1], /Llama 2 has no such tensor.*another architecture/],
    ["model.mm_projector.weight", [1], /Llama 2 has no such tensor/],
  ])("%s", async (name, values, message) => {
    const { message: text } = await failure(open([extra(name, values)]));
    expect(text).toMatch(message);
    const option = /ignoreTensors: (\[".+"\]) \(on the command line --ignore-tensors '(.+)'\)/.exec(text)!;
    expect(JSON.parse(option[1]!)).toEqual([option[2]]);
    await using checkpoint = await open([extra(name, values)], { ignoreTensors: JSON.parse(option[1]!) });
    expect(checkpoint.notices).toEqual([`Passed over tensors that were to be ignored: ${name}.`]);
  });

  test("what is to be ignored but not there is said, and a tensor of the model is then missing", async () => {
    await using unmet = await open([], { ignoreTensors: ["*.lora_*", "b"] });
    expect(unmet.notices).toEqual(['Of the tensors to be ignored, none is called "*.lora_*" or "b".']);
    expect((await failure(open([], { ignoreTensors: ["model.norm.*"] }))).message).toMatch(
      /"model\.norm\.weight": this tensor .* is missing/,
    );
    const wrong = { ignoreTensors: "*.lora_*" } as unknown as OpenOptions; // what JavaScript lets one write
    expect(await failure(open([], wrong))).toMatchObject({ code: "ERR_OPTION" });
  });

  test("layers beyond those that the configuration declares", async () => {
    const beyond = tensors
      .filter(({ name }) => name.startsWith("model.layers.1."))
      .map((tensor) => ({ ...tensor, name: tensor.name.replace("1", "2") }));
    expect((await failure(open(beyond))).message).toMatch(/a Llama of 2 layers has no such tensor/);
    await using checkpoint = await open(beyond, { ignoreTensors: ["model.layers.2.*"] });
    expect(checkpoint.notices).toEqual([expect.stringMatching(/ignored: model\.layers\.2\..* and 8 more/)]);
  });

  test("a pattern is not a regular expression", async () => {
    const name = "a+(b)[c].x";
    expect((await failure(open([extra(name, [1])], { ignoreTensors: ["a+.*"] }))).message).toMatch(/no such tensor/);
    await using checkpoint = await open([extra(name, [1])], { ignoreTensors: ["a+(b)[c].*"] });
    expect(checkpoint.notices.length).toBe(1);
  });
});

describe("in other files", () => {
  test("Meta's", async () => {
    const rope = await open([]);
    const [first] = await metaShards(rope, 1);
    const params = {
      dim: small.dim,
      n_layers: small.layers,
      n_heads: small.heads,
      n_kv_heads: small.kvHeads,
      multiple_of: 8,
      vocab_size: -1,
    };
    const files = async (more: readonly RawTensor[]) =>
      folderWith({
        "consolidated.00.pth": await torchFile([...first!, ...more]),
        "params.json": JSON.stringify(params),
      });
    const caches = [extra("layers.0.attention.cache_k", [0]), extra("layers.0.attention.cache_v", [0])];
    await using checkpoint = await openCheckpoint(await files(caches));
    expect(checkpoint.notices).toEqual([expect.stringMatching(/masks and positions.*cache_k and 1 more/)]);
    const adapter = await files([extra("layers.0.attention.wq.lora_B", [1])]);
    expect((await failure(openCheckpoint(adapter))).message).toMatch(/half of a LoRA adapter is not zero/);
    await using ignored = await openCheckpoint(adapter, { ignoreTensors: ["*.lora_B"] });
    expect(ignored.notices[0]).toContain("layers.0.attention.wq.lora_B");
    await rope[Symbol.asyncDispose]();
  });

  test("GGUF's", async () => {
    await using model = await open([]);
    const path = join(await folderWith(), "m.gguf");
    await writeGguf(path, model);
    const bytes = await readFile(path);
    const at = bytes.indexOf("blk.0.attn_norm.weight");
    const renamed = (name: string) => {
      const copy = Buffer.from(bytes);
      copy.write(name.padEnd(22, "x").slice(0, 22), at);
      return copy;
    };
    // A norm that another name hides is missed; by then its new name has been judged.
    const judged = (name: string, ignore?: readonly string[]) =>
      failure(openGguf(memorySource("m.gguf", new Uint8Array(renamed(name))), undefined, undefined, ignore));
    expect((await judged("aa.rotary_emb.inv_freq")).message).toMatch(
      /blk\.0\.attn_norm\.weight": this tensor .* is missing/,
    );
    expect((await judged("b.0.attn_q.scale")).message).toMatch(
      /no such tensor.*ignoreTensors: \["b\.\*\.attn_q\.scalexxxxxx"\]/,
    );
    expect((await judged("b.0.attn_q.scale", ["b.*"])).message).toMatch(/this tensor .* is missing/);
    await writeFile(path, renamed("aa.rotary_emb.inv_freq"));
    expect((await failure(openCheckpoint(path, { ignoreTensors: ["aa.*"] }))).message).toMatch(/is missing/);
  });
});
