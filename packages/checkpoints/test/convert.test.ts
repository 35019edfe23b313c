// Checkpoints written in one layout out of another: nothing is lost on the way there and back.

import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reference } from "@polyllama/backend-reference";
import { llamaGraph, type TextSetup } from "@polyllama/core";
import { loadGraph } from "@polyllama/core/device";
import { formats, quantizeRows } from "@polyllama/formats";
import { poet } from "@polyllama/model-poet";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import {
  type Checkpoint,
  compareCheckpoints,
  openCheckpoint,
  openFile,
  readGgufHeader,
  type TargetFormat,
  writeGguf,
  writeSafetensors,
} from "../src/index.ts";
import {
  coordinates,
  failure,
  folderWith,
  huggingFaceConfig,
  huggingFaceFiles,
  huggingFaceTensors,
  safetensors,
  small,
} from "./support.ts";
import { metaShards, torchFile } from "./torch-writer.ts";

const tiny = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=64";

async function expectEqual(a: Checkpoint, b: Checkpoint): Promise<void> {
  const { tensors, config, text } = await compareCheckpoints(a, b);
  expect(tensors.filter(({ equalBits }) => !equalBits)).toEqual([]);
  expect({ config, text }).toEqual({ config: [], text: [] });
}

/** safetensors -> GGUF -> safetensors, and what the reference makes of the first tokens of each. */
async function roundTrip(source: Checkpoint, ids: readonly number[]): Promise<void> {
  const folder = await folderWith();
  await writeGguf(join(folder, "model.gguf"), source);
  await using gguf = await openCheckpoint(join(folder, "model.gguf"));
  await writeSafetensors(join(folder, "back"), gguf);
  await using back = await openCheckpoint(join(folder, "back"));
  await expectEqual(source, back);
  const logits = [];
  for (const checkpoint of [source, gguf, back]) {
    await using device = reference();
    await using loaded = await loadGraph(device, llamaGraph(checkpoint.config), checkpoint);
    const [values] = await loaded.run({ inputs: { tokens: Int32Array.from(ids) } }, ["logits"]);
    logits.push(values!.data);
  }
  expect(logits[1]).toEqual(logits[0]);
  expect(logits[2]).toEqual(logits[0]);
}

describe("safetensors to GGUF and back", () => {
  test.each(["f32", "f16", "bf16"] as const)("a model in %s, norms too: equal bits, equal logits", async (format) => {
    const folder = await folderWith();
    await using synthetic = await openCheckpoint(`${tiny}&format=f32`);
    await writeSafetensors(join(folder, "source"), synthetic, { format });
    await using source = await openCheckpoint(join(folder, "source"));
    expect(new Set([...source.weights.values()].map((info) => info.format))).toEqual(new Set([format]));
    const values = new Float32Array(64 * 64);
    formats.f32.dequantize(await synthetic.read("layers.1.attention.wq.weight"), values);
    expect(await source.read("layers.1.attention.wq.weight")).toEqual(quantizeRows(values, format));
    await roundTrip(source, [1, 2, 300, 5]);
  });

  test("poet", async () => {
    await using source = await openCheckpoint(poet);
    await roundTrip(source, [1, 20, 300, 4000]);
  });

  test("poet from two of Meta's shards, its tokenizer.model where Meta's download has it", async () => {
    // What poet has beyond Meta's layout, a chat template, is left out.
    const names = ["config.json", "model.safetensors", "tokenizer.model"];
    const contents = await Promise.all(names.map(async (name) => [name, await readFile(join(poet, name))] as const));
    await using source = await openCheckpoint(await folderWith(Object.fromEntries(contents)));
    const { dim, layers, heads, kvHeads, normEps, contextLength } = source.config;
    const params = { dim, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, norm_eps: normEps, vocab_size: -1 };
    const folder = await folderWith({ "tokenizer.model": await readFile(join(poet, "tokenizer.model")) });
    await mkdir(join(folder, "meta"));
    await writeFile(join(folder, "meta/params.json"), JSON.stringify({ ...params, max_seq_len: contextLength }));
    for (const [index, tensors] of (await metaShards(source, 2)).entries()) {
      await writeFile(join(folder, `meta/consolidated.0${index}.pth`), await torchFile(tensors));
    }
    await using meta = await openCheckpoint(join(folder, "meta"));
    await writeSafetensors(join(folder, "hf"), meta);
    const files = [join(folder, "hf/tokenizer.model"), join(poet, "tokenizer.model")];
    expect(Buffer.compare(await readFile(files[0]!), await readFile(files[1]!))).toBe(0);
    await using hf = await openCheckpoint(join(folder, "hf"));
    await expectEqual(source, hf);
  });

  test("rows of q and k go back to where Hugging Face has them", async () => {
    const tensors = huggingFaceTensors(small);
    const folder = await folderWith({
      "model.safetensors": safetensors(tensors),
      "config.json": JSON.stringify(huggingFaceConfig(small)),
    });
    await using source = await openCheckpoint(folder);
    await writeGguf(join(folder, "model.gguf"), source);
    await using gguf = await openCheckpoint(join(folder, "model.gguf"));
    expect(
      new Float32Array((await gguf.read("layers.0.attention.wk.weight", { rows: { first: 1, count: 1 } })).buffer),
    ).toEqual(coordinates(3, 1, small.dim));
    await writeSafetensors(join(folder, "back"), gguf);
    await using back = await openCheckpoint(join(folder, "back"));
    for (const { name, bytes } of tensors) {
      const { offset, length } = await place(join(folder, "back", "model.safetensors"), name);
      const file = await readFile(join(folder, "back", "model.safetensors"));
      expect(Buffer.compare(file.subarray(offset, offset + length), bytes), name).toBe(0);
    }
    await expectEqual(source, back);
  });

  test("scaling of rotary positions", async () => {
    const scalings = [
      { rope_type: "linear", factor: 4 },
      { rope_type: "yarn", factor: 8, original_max_position_embeddings: 16, beta_fast: 20 },
    ];
    for (const scaling of scalings) {
      const folder = await folderWith({
        ...huggingFaceFiles(small, { rope_scaling: scaling, rope_theta: 50000 }),
      });
      await using source = await openCheckpoint(folder);
      await writeGguf(join(folder, "model.gguf"), source);
      await using gguf = await openCheckpoint(join(folder, "model.gguf"));
      await writeSafetensors(join(folder, "back"), gguf);
      await using back = await openCheckpoint(join(folder, "back"));
      expect(back.config.ropeScaling.type).toBe(scaling.rope_type);
      await expectEqual(source, back);
    }
  });

  test("dynamic and Llama 3 scaling, which GGUF cannot declare, stay in safetensors", async () => {
    const folder = await folderWith({
      ...huggingFaceFiles(small, { rope_scaling: { rope_type: "dynamic", factor: 2 } }),
    });
    await using source = await openCheckpoint(folder);
    expect((await failure(writeGguf(join(folder, "m.gguf"), source))).code).toBe("ERR_UNSUPPORTED");
    await writeSafetensors(join(folder, "copy"), { ...source, metadata: new Map() });
    await using copy = await openCheckpoint(join(folder, "copy"));
    await expectEqual(source, copy);
  });
});

describeWithShared("trained models in other layouts", () => {
  test("TinyStories with its tokenizer.json, to GGUF and back", async () => {
    const path = shared("weights/TinyStories-656K");
    await using source = await openCheckpoint(path);
    await roundTrip(source, [1, 20, 300, 2000]);
    const folder = await folderWith();
    const notes: string[] = [];
    await writeGguf(join(folder, "model.gguf"), source, { onNote: (note) => notes.push(note) });
    expect(notes).toContainEqual(expect.stringMatching(/llama\.cpp breaks off at a character without a piece/));
    await using gguf = await openCheckpoint(join(folder, "model.gguf"));
    await expectEqual(source, gguf);
    await writeSafetensors(join(folder, "back"), gguf);
    const files = [join(folder, "back/tokenizer.json"), join(path, "tokenizer.json")];
    expect(await readFile(files[0]!, "utf8")).toBe(await readFile(files[1]!, "utf8"));
  });

  test.each(["stories260K.bin", "stories260K.gguf"])("%s to safetensors and GGUF, tokenizer and all", async (name) => {
    const folder = await folderWith();
    await using source = await openCheckpoint(shared(`weights/${name}`));
    await writeSafetensors(join(folder, "hf"), source);
    await using hf = await openCheckpoint(join(folder, "hf"));
    await expectEqual(source, hf);
    await writeGguf(join(folder, "model.gguf"), source);
    await using gguf = await openCheckpoint(join(folder, "model.gguf"));
    await expectEqual(source, gguf);
  });

  test("Llama 2's tokenizer.model goes along as it is, and through GGUF with the same tokens", async () => {
    const folder = await folderWith();
    const tokenizer = shared("tokenizers/llama2.model");
    await using source = await openCheckpoint(
      "synthetic://llama-2-7b?dim=32&heads=2&hidden=32&layers=1&vocab=32000&context=8&format=f16",
      { tokenizer },
    );
    await writeSafetensors(join(folder, "hf"), source);
    expect(Buffer.compare(await readFile(join(folder, "hf/tokenizer.model")), await readFile(tokenizer))).toBe(0);
    await writeGguf(join(folder, "m.gguf"), source);
    await using gguf = await openCheckpoint(join(folder, "m.gguf"));
    await writeSafetensors(join(folder, "back"), gguf);
    await using back = await openCheckpoint(join(folder, "back"));
    expect((await compareCheckpoints(source, back)).text).toEqual([]);
  });
});

describe("the tokenizer and what goes with it", () => {
  test("a chat template goes from tokenizer_config.json into GGUF and back", async () => {
    const template = "{% for message in messages %}[INST] {{ message.content }} [/INST]{% endfor %}";
    const folder = await folderWith();
    await using synthetic = await openCheckpoint(`${tiny}&format=f16`);
    await writeSafetensors(join(folder, "hf"), synthetic);
    const config = join(folder, "hf/tokenizer_config.json");
    await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, "utf8")), chat_template: template }));
    await using source = await openCheckpoint(join(folder, "hf"));
    await writeGguf(join(folder, "m.gguf"), source);
    await using gguf = await openCheckpoint(join(folder, "m.gguf"));
    expect(gguf.tokenizer?.chatTemplate).toBe(template);
    await writeSafetensors(join(folder, "back"), gguf);
    expect(JSON.parse(await readFile(join(folder, "back/tokenizer_config.json"), "utf8"))).toMatchObject({
      chat_template: template,
      bos_token: "<s>",
      add_bos_token: true,
    });
  });

  test("config.json, generation_config.json and others are carried along, the type of the weights put right", async () => {
    const folder = await folderWith({
      ...huggingFaceFiles(small, { torch_dtype: "float32", pretraining_tp: 7 }),
      "generation_config.json": '{"temperature": 0.6}',
    });
    await using source = await openCheckpoint(folder);
    await writeSafetensors(join(folder, "half"), source, { format: "bf16" });
    expect(await readFile(join(folder, "half/generation_config.json"), "utf8")).toBe('{"temperature": 0.6}');
    expect(JSON.parse(await readFile(join(folder, "half/config.json"), "utf8"))).toMatchObject({
      torch_dtype: "bfloat16",
      pretraining_tp: 7,
      rms_norm_eps: 1e-5,
    });
  });
});

describe("formats", () => {
  test("rules by name, in any spelling; the last one holds; the rest is as asked", async () => {
    const path = join(await folderWith(), "m.gguf");
    await using source = await openCheckpoint(`${tiny}&format=f32`);
    const tensors = [
      { pattern: "blk.*.attn_v", format: "q8_0" },
      { pattern: "model.layers.{1}.self_attn.v_proj.weight", format: "q5_0" },
      { pattern: "output", format: "f16" },
      { pattern: "layers.{0-1}.feed_forward.w2", format: "bf16" },
    ] as const;
    await writeGguf(path, source, { format: "q4_0", tensors });
    await using result = await openCheckpoint(path);
    const format = (name: string) => result.weights.get(name)?.format;
    expect(format("layers.0.attention.wv.weight")).toBe("q8_0");
    expect(format("layers.1.attention.wv.weight")).toBe("q5_0");
    expect(format("output.weight")).toBe("f16");
    expect(format("layers.1.feed_forward.w2.weight")).toBe("bf16");
    expect(format("layers.0.attention.wo.weight")).toBe("q4_0");
    expect(format("tok_embeddings.weight")).toBe("q4_0");
    expect(format("layers.0.attention_norm.weight")).toBe("f32");
  });

  test("q4_k_m is the mixture that the synthetic model has", async () => {
    const path = join(await folderWith(), "m.gguf");
    const sizes = "dim=256&heads=4&hidden=512&layers=9&vocab=300&context=64";
    await using source = await openCheckpoint(`synthetic://llama-2-7b?${sizes}&format=f16`);
    await using model = await openCheckpoint(`synthetic://llama-2-7b?${sizes}&format=q4_k_m`);
    await writeGguf(path, source, { format: "q4_k_m" });
    await using result = await openCheckpoint(path);
    expect([...result.weights.values()]).toEqual([...model.weights.values()]);
    expect(result.metadata.get("general.file_type")).toBe(15);
  });

  test("rows that are no whole blocks take the next better format, and the result says so", async () => {
    const path = join(await folderWith(), "m.gguf");
    await using source = await openCheckpoint(
      "synthetic://llama-2-7b?dim=32&heads=2&hidden=40&layers=1&vocab=320&format=f16",
    );
    const { tensors } = await writeGguf(path, source, { format: "q6_k" });
    const of = (name: string) => tensors.find((tensor) => tensor.source.name === name);
    expect(of("layers.0.feed_forward.w2.weight")).toMatchObject({ format: "f16", insteadOf: "q6_k" });
    expect(of("layers.0.feed_forward.w1.weight")).toMatchObject({ format: "q8_0", insteadOf: "q6_k" });
    expect(of("norm.weight")?.insteadOf).toBeUndefined();
  });

  const refused: readonly [string, string, Parameters<typeof writeGguf>[2], RegExp][] = [
    ["q4_0", "m.gguf", { format: "q8_0" }, /is q4_0 already; as q8_0 it would lose more/],
    ["q4_0", "hf", {}, /is q4_0, which safetensors files do not hold\. Choose a float format/],
    ["f16", "hf", { format: "q8_0" }, /Safetensors files do not hold q8_0/],
    ["f16", "m.gguf", { format: "q9" as TargetFormat }, /format must be "keep", .* not "q9"/],
    ["f16", "m.gguf", { tensors: [{ pattern: "blk.7.*", format: "q8_0" }] }, /"blk\.7\.\*" matches no tensor/],
    ["f16", "m.gguf", { tensors: [{ pattern: "blk.{a}", format: "q8_0" }] }, /is no pattern/],
    [
      "f16",
      "m.gguf",
      { tensors: [{ pattern: "norm", format: "q8_0" }] },
      /"norm" matches no tensor that could be q8_0/,
    ],
    ["f16", "m.gguf", { tensors: [{ pattern: "output", format: "q6_k" }] }, /rows of 64, which are no whole q6_k/],
    ["f16", "m.gguf", { shardBytes: 0 }, /shardBytes/],
  ];
  test.each(refused)("refused: %s to %s with %j", async (format, destination, options, message) => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=${format}`);
    const write = destination === "hf" ? writeSafetensors : writeGguf;
    const error = await failure(write(join(folder, destination), source, options));
    expect(error.code).toBe("ERR_OPTION");
    expect(error.message).toMatch(message);
    expect(await readdir(folder)).toEqual([]);
  });

  test("what is quantized comes out as floats when asked, and is quantized again when allowed", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=q8_0`);
    await writeSafetensors(join(folder, "hf"), source, { format: "f32" });
    await using hf = await openCheckpoint(join(folder, "hf"));
    const { agrees } = await compareCheckpoints(source, hf);
    expect(agrees).toBe(true);
    await writeGguf(join(folder, "m.gguf"), source, { format: "q4_0", requantize: true });
    await using again = await openCheckpoint(join(folder, "m.gguf"));
    expect((await compareCheckpoints(source, again)).agrees).toBe(false);
    expect((await compareCheckpoints(source, again, { tolerance: 0.1 })).agrees).toBe(true);
  });

  test("values beyond f16 are refused, not made infinite", async () => {
    const folder = await folderWith({
      ...huggingFaceFiles({ ...small, layers: 4 }),
    });
    await using source = await openCheckpoint(folder);
    const error = await failure(writeGguf(join(folder, "m.gguf"), source, { format: "f16" }));
    expect(error.message).toMatch(/hold values beyond the range of f16\. Choose bf16 or f32/);
    expect((await readdir(folder)).sort()).toEqual(["config.json", "model.safetensors"]);
  });
});

describe("files", () => {
  test("shards with an index, none larger than asked, and the same model", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    const { files } = await writeSafetensors(join(folder, "hf"), source, { shardBytes: 50_000 });
    expect(files.length).toBeGreaterThan(3);
    expect(await readdir(join(folder, "hf"))).toContain(`model-00001-of-0000${files.length}.safetensors`);
    await using hf = await openCheckpoint(join(folder, "hf"));
    await expectEqual(hf, source);
  });

  test("split GGUF files, which are read as one", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    const { files } = await writeGguf(join(folder, "m.gguf"), source, { shardBytes: 50_000 });
    expect(files[0]).toBe(join(folder, `m-00001-of-0000${files.length}.gguf`));
    await using last = await openFile(files.at(-1)!).then((file) => ({
      file,
      [Symbol.asyncDispose]: () => file.close(),
    }));
    expect((await readGgufHeader(last.file)).metadata.size).toBe(3);
    await using whole = await openCheckpoint(files[1]!);
    await expectEqual(source, whole);
  });

  test("one .safetensors file, the small ones beside it", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=bf16`);
    await writeSafetensors(join(folder, "tiny.safetensors"), source);
    expect((await readdir(folder)).sort()).toEqual([
      "config.json",
      "generation_config.json",
      "tiny.safetensors",
      "tokenizer.model",
      "tokenizer_config.json",
    ]);
    await using result = await openCheckpoint(join(folder, "tiny.safetensors"));
    await expectEqual(result, source);
    expect((await failure(writeSafetensors(join(folder, "tiny.safetensors"), source))).message).toMatch(
      /exists already/,
    );
  });

  test("nothing is replaced unasked, a folder with other things in it never, and the source not at all", async () => {
    const folder = await folderWith({ "m.gguf": "old", "hf.txt": "old" });
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    expect((await failure(writeGguf(join(folder, "m.gguf"), source))).message).toMatch(/m\.gguf exists already/);
    await writeSafetensors(join(folder, "hf"), source);
    expect((await failure(writeSafetensors(join(folder, "hf"), source))).message).toMatch(/hf exists already/);
    await writeSafetensors(join(folder, "hf"), source, { overwrite: true, shardBytes: 50_000 });
    expect(await readdir(join(folder, "hf"))).not.toContain("model.safetensors");
    await using hf = await openCheckpoint(join(folder, "hf"));
    await expectEqual(hf, source);
    const onto = await failure(writeSafetensors(join(folder, "hf"), hf, { overwrite: true }));
    expect(onto.message).toMatch(/is what is being read/);
    await writeFile(join(folder, "hf", "notes.txt"), "mine");
    const error = await failure(writeSafetensors(join(folder, "hf"), source, { overwrite: true }));
    expect(error.message).toMatch(/"notes\.txt", which is no part of a checkpoint and would be lost/);
    expect(await readFile(join(folder, "hf", "notes.txt"), "utf8")).toBe("mine");
  });

  test("leftovers of a killed run are removed with a word, those of a living one are left alone", async () => {
    const folder = await folderWith({ "m.gguf.4194305.partial": "half", "other.gguf.4194305.partial": "half" });
    await writeFile(join(folder, "m-00002-of-00003.gguf.4194306.partial"), "half");
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    const notes: string[] = [];
    await writeGguf(join(folder, "m.gguf"), source, { onNote: (text) => notes.push(text) });
    expect(notes).toHaveLength(2);
    expect(notes).toContainEqual(expect.stringMatching(/^Removed .*m\.gguf\.4194305\.partial, left behind by a run/));
    expect((await readdir(folder)).sort()).toEqual(["m.gguf", "other.gguf.4194305.partial"]);
    await writeFile(join(folder, `new.gguf.${process.ppid}.partial`), "half");
    const error = await failure(writeGguf(join(folder, "new.gguf"), source));
    expect(error.message).toMatch(/process \d+ is writing it now\. .* delete .*\.partial/);
  });

  test("a folder that a killed run had set aside comes back", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    await writeSafetensors(join(folder, "hf"), source);
    await rename(join(folder, "hf"), join(folder, "hf.4194305.replaced"));
    const notes: string[] = [];
    const writing = writeSafetensors(join(folder, "hf"), source, { onNote: (text) => notes.push(text) });
    expect((await failure(writing)).message).toMatch(/hf exists already/);
    expect(notes).toEqual(["Restored hf, which a run that was killed had set aside."]);
    await using hf = await openCheckpoint(join(folder, "hf"));
    await expectEqual(source, hf);
  });

  test("two calls do not write the same file", async () => {
    const path = join(await folderWith(), "m.gguf");
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    const [first, second] = await Promise.allSettled([writeGguf(path, source), writeGguf(path, source)]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ reason: { message: expect.stringMatching(/another call is writing it now/) } });
    await using result = await openCheckpoint(path);
    await expectEqual(source, result);
  });

  test("an abort leaves nothing behind", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    for (const [write, name] of [
      [writeGguf, "m.gguf"],
      [writeSafetensors, "hf"],
    ] as const) {
      const controller = new AbortController();
      const onProgress = ({ done }: { done: number }): void => {
        if (done > 20_000) controller.abort(new Error("enough"));
      };
      const writing = write(join(folder, name), source, { signal: controller.signal, onProgress });
      await expect(writing).rejects.toThrow("enough");
    }
    expect(await readdir(folder)).toEqual([]);
  });

  test("a disk without room is noticed before anything is written", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint("synthetic://llama-2-70b?layers=400&format=f32");
    const error = await failure(writeGguf(join(folder, "m.gguf"), source));
    expect(error.message).toMatch(/GB are to be written, but the disk has only .* GB left/);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("comparing", () => {
  test("says what differs: values, formats, configuration, tokenizer, missing tensors", async () => {
    await using a = await openCheckpoint(`${tiny}&format=f32`);
    await using b = await openCheckpoint(`${tiny.replace("context=64", "context=32")}&format=f32&seed=2`);
    const { tensors, config, agrees } = await compareCheckpoints(a, b);
    expect(agrees).toBe(false);
    expect(config).toEqual([{ field: "contextLength", values: [64, 32] }]);
    expect(tensors.every(({ maxError, relativeError }) => maxError > 0 && relativeError > 0)).toBe(true);
    await using c = await openCheckpoint(tiny.replace("layers=2", "layers=1"));
    const missing = await compareCheckpoints(a, c);
    const last = missing.tensors.find(({ name }) => name === "layers.1.attention.wq.weight");
    expect(last).toMatchObject({ formats: ["f32", undefined], maxError: Infinity, agrees: false });
    await using d = await openCheckpoint(tiny.replace("vocab=320", "vocab=321"));
    expect((await compareCheckpoints(a, d)).text).toContainEqual({ field: "vocabSize", values: [320, 321] });
  });

  test("says in which fields the setups of text differ", async () => {
    await using a = await openCheckpoint(tiny);
    const end = (id: number) => ({ id, from: ["config.json: eos_token_id"] });
    const template = (jinja: string) => ({ jinja, from: "tokenizer_config.json: chat_template" });
    const changes: readonly (readonly [string, Partial<TextSetup>, unknown, unknown])[] = [
      ["addBos", { addBos: false }, true, false],
      ["addEos", { addEos: true }, false, true],
      ["ends", { ends: [end(2), end(7)] }, [2], [2, 7]],
      ["chatTemplate", { chatTemplate: template("{{ messages }}") }, undefined, "{{ messages }}"],
      ["sampling.topP", { sampling: { topP: 0.5 } }, undefined, 0.5],
    ];
    for (const [field, change, ...values] of changes) {
      const b = { ...a, tokenizer: a.tokenizer, text: { ...a.text, ...change } };
      const { text, agrees } = await compareCheckpoints(a, b);
      expect(text).toEqual([{ field, values }]);
      expect(agrees).toBe(false);
    }
    const said = { ends: [{ id: 2, from: ["elsewhere"] }], sampling: { temperature: 0.6 } };
    const rounded = { ...said, sampling: { temperature: Math.fround(0.6) } };
    const [one, other] = [said, rounded].map((text) => ({
      ...a,
      tokenizer: a.tokenizer,
      text: { ...a.text, ...text },
    }));
    expect((await compareCheckpoints(one!, other!)).text).toEqual([]);
    const none = await compareCheckpoints(a, { ...a, tokenizer: undefined, text: a.text });
    expect(none.text).toEqual([{ field: "tokenizer", values: ["one of 320 tokens", undefined] }]);
  });

  test("measures errors as defined", async () => {
    const model = (values: readonly number[]) =>
      openFolder(small, (name, old) => (name === "model.norm.weight" ? Float32Array.from(values) : old));
    const ones = Array.from({ length: small.dim }, () => 2);
    await using a = await model(ones);
    await using b = await model(ones.map((one, i) => (i === 3 ? 2.5 : one)));
    const { tensors } = await compareCheckpoints(a, b);
    const norm = tensors.find(({ name }) => name === "norm.weight");
    expect(norm?.maxError).toBe(0.5);
    expect(norm?.relativeError).toBeCloseTo(Math.sqrt(0.25 / (24 * 4)), 12);
    expect(tensors.filter(({ agrees }) => !agrees)).toHaveLength(1);
  });
});

/** A checkpoint in Hugging Face's layout whose tensors `edit` may change. */
async function openFolder(config: typeof small, edit: (name: string, values: Float32Array) => Float32Array) {
  const tensors = huggingFaceTensors(config).map((tensor) => {
    const values = edit(tensor.name, new Float32Array(tensor.bytes.slice().buffer));
    return { ...tensor, bytes: new Uint8Array(values.buffer) };
  });
  const files = { "model.safetensors": safetensors(tensors), "config.json": JSON.stringify(huggingFaceConfig(config)) };
  return openCheckpoint(await folderWith(files));
}

/** Where a tensor's bytes lie in a safetensors file. */
async function place(path: string, name: string): Promise<{ readonly offset: number; readonly length: number }> {
  const file = await readFile(path);
  const length = Number(file.readBigUInt64LE(0));
  const [begin, end] = JSON.parse(file.subarray(8, 8 + length).toString())[name].data_offsets;
  return { offset: 8 + length + begin, length: end - begin };
}
