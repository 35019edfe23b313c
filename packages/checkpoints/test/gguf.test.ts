import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "@polyllama/core";
import { formats, quantizeRows } from "@polyllama/formats";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import {
  type Checkpoint,
  memorySource,
  openCheckpoint,
  openGguf,
  openSynthetic,
  readGgufHeader,
  writeGguf,
} from "../src/index.ts";
import { entry, failure, folderWith, gguf, tensorEntry, text, u32, u64 } from "./support.ts";

const tiny = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=64";

async function expectSameWeights(a: Checkpoint, b: Checkpoint): Promise<void> {
  expect([...a.weights.keys()]).toEqual([...b.weights.keys()]);
  for (const [name, info] of a.weights) {
    expect(b.weights.get(name)).toEqual(info);
    expect(Buffer.compare(await a.read(name), await b.read(name)), name).toBe(0);
  }
}

describe("writing and reading back", () => {
  test.each(["f32", "f16", "bf16", "q8_0", "q4_0"])("%s comes back bit for bit", async (format) => {
    const folder = await folderWith();
    const path = join(folder, "model.gguf");
    await using source = await openCheckpoint(`${tiny}&format=${format}`);
    const progress: number[] = [];
    await writeGguf(path, source, { onProgress: ({ done, total }) => progress.push(done / total) });
    await using result = await openCheckpoint(path);
    expect(result.kind).toBe("gguf");
    expect(result.config).toEqual(source.config);
    await expectSameWeights(source, result);
    const said = "eta oin \u{1f999}";
    expect(result.tokenizer?.encode(said)).toEqual(source.tokenizer?.encode(said));
    expect(result.tokenizer?.decode(source.tokenizer?.encode(said) ?? [])).toBe(said);
    expect(progress.length).toBe(source.weights.size + 1); // the header comes last
    expect(progress.at(-1)).toBe(1);
    expect(progress.every((share, i) => share > (progress[i - 1] ?? 0) && share <= 1)).toBe(true);
    expect(await readdir(folder)).toEqual(["model.gguf"]);
  });

  test.each([...Object.keys(formats), "q4_k_m"])("%s in rows of 256 comes back too", async (format) => {
    const path = join(await folderWith(), "model.gguf");
    const url = `synthetic://llama-2-7b?format=${format}&dim=256&heads=4&hidden=512&layers=3&vocab=300`;
    await using source = await openCheckpoint(url);
    await writeGguf(path, source);
    await using result = await openCheckpoint(path);
    await expectSameWeights(source, result);
  });

  test.each(["q8_0", "q4_0"] as const)("written as %s equals quantizing by hand; norms are f32", async (format) => {
    const path = join(await folderWith(), "model.gguf");
    await using source = await openCheckpoint(`${tiny}&format=f16`);
    await writeGguf(path, source, { format });
    await using result = await openCheckpoint(path);
    for (const [name, info] of source.weights) {
      if (info.shape.length === 1) {
        expect(result.weights.get(name)?.format).toBe("f32");
        expect(await result.read(name)).toEqual(await source.read(name));
      } else {
        const values = new Float32Array(info.shape[0]! * info.shape[1]!);
        formats.f16.dequantize(await source.read(name), values);
        expect(Buffer.compare(await result.read(name), quantizeRows(values, format)), name).toBe(0);
      }
    }
  });

  test("rows can be read in any ranges", async () => {
    await using source = await openCheckpoint(`${tiny}&format=q4_0`);
    const path = join(await folderWith(), "model.gguf");
    await writeGguf(path, source);
    await using result = await openCheckpoint(path);
    const name = "layers.1.feed_forward.w1.weight";
    const all = await result.read(name);
    const rowBytes = all.length / 96;
    expect(await result.read(name, { rows: { first: 17, count: 3 } })).toEqual(all.slice(17 * rowBytes, 20 * rowBytes));
    expect(await result.read(name, { rows: { first: 96, count: 0 } })).toHaveLength(0);
    for (const rows of [
      { first: 95, count: 2 },
      { first: -1, count: 1 },
      { first: 0.5, count: 1 },
    ]) {
      expect((await failure(result.read(name, { rows }))).code).toBe("ERR_OPTION");
    }
    expect((await failure(result.read("layers.9.attention.wq.weight"))).message).toMatch(/has no weight "layers.9/);
  });

  test("a failure leaves neither the file nor a temporary one, and the old file as it was", async () => {
    const folder = await folderWith({ "model.gguf": "old" });
    const source = await openCheckpoint(`${tiny}&format=q4_0`);
    const broken: Checkpoint = {
      ...source,
      read: async (name, rows, signal) => {
        if (name === "layers.1.feed_forward.w2.weight") throw new Error("the cable was pulled");
        return source.read(name, rows, signal);
      },
    };
    await expect(writeGguf(join(folder, "model.gguf"), broken, { overwrite: true })).rejects.toThrow(
      "the cable was pulled",
    );
    expect(await readdir(folder)).toEqual(["model.gguf"]);
    expect(await readFile(join(folder, "model.gguf"), "utf8")).toBe("old");
    const missing = await failure(writeGguf(join(folder, "no", "model.gguf"), source));
    expect(missing.message).toMatch(/model\.gguf: the file cannot be written \(ENOENT\)/);
  });

  test("NaN weights are not written", async () => {
    const source = await openCheckpoint(`${tiny}&format=f32`);
    const spoiled: Checkpoint = {
      ...source,
      read: async (name, rows, signal) => {
        const bytes = await source.read(name, rows, signal);
        if (name === "norm.weight") bytes.set([0, 0, 0xc0, 0x7f], 8);
        return bytes;
      },
    };
    const error = await failure(writeGguf(join(await folderWith(), "model.gguf"), spoiled));
    expect(error.message).toMatch(/tensor "norm.weight": row 0, column 2, holds a NaN/);
  });

  test("unknown options are refused", async () => {
    const source = await openCheckpoint(tiny);
    const options = { fromat: "q8_0" } as object;
    expect((await failure(writeGguf("x.gguf", source, options))).code).toBe("ERR_OPTION");
  });
});

describe("metadata", () => {
  test("values of every type are read", async () => {
    const bytes = gguf({
      entries: [
        entry("u8", 0, new Uint8Array([200])),
        entry("i8", 1, new Uint8Array([200])),
        entry("u16", 2, new Uint8Array([0, 0xff])),
        entry("i16", 3, new Uint8Array([0, 0xff])),
        entry("u32", 4, u32(4e9)),
        entry("i32", 5, u32(0xffffffff)),
        entry("f32", 6, new Uint8Array(new Float32Array([0.1]).buffer)),
        entry("bool", 7, new Uint8Array([1])),
        entry("string", 8, text("\ufeffé")),
        entry("array", 9, u32(9), u64(2n), u32(8), u64(1n), text("a"), u32(4), u64(0n)),
        entry("u64", 10, u64(2n ** 60n)),
        entry("i64", 11, u64(2n ** 64n - 5n)),
        entry("f64", 12, new Uint8Array(new Float64Array([0.1]).buffer)),
      ],
    });
    const { metadata, version } = await readGgufHeader(memorySource("m", bytes));
    expect(version).toBe(3);
    expect(Object.fromEntries(metadata)).toEqual({
      u8: 200,
      i8: -56,
      u16: 0xff00,
      i16: -256,
      u32: 4e9,
      i32: -1,
      f32: Math.fround(0.1),
      bool: true,
      string: "\ufeffé",
      array: [["a"], []],
      u64: 2n ** 60n,
      i64: -5,
      f64: 0.1,
    });
  });

  test("a header longer than the first prefix is read to its end", async () => {
    const long = "x".repeat(700_000);
    const bytes = gguf({ version: 2, entries: [entry("a", 8, text(long)), entry("b", 4, u32(7))] });
    const { metadata } = await readGgufHeader(memorySource("m", bytes));
    expect(metadata.get("a")).toBe(long);
    expect(metadata.get("b")).toBe(7);
  });

  test("another alignment is honoured", async () => {
    const data = new Uint8Array(128 + 32).fill(1);
    const bytes = gguf({
      entries: [entry("general.alignment", 4, u32(64))],
      tensors: [tensorEntry("a", [4n], 0, 0n), tensorEntry("b", [4n], 0, 64n)],
      data,
    });
    const { tensors } = await readGgufHeader(memorySource("m", bytes));
    expect(tensors.map(({ offset }) => offset % 64)).toEqual([0, 0]);
    expect(tensors[0]).toEqual({ name: "a", shape: [4], format: "f32", bytes: 16, offset: tensors[1]!.offset - 64 });
  });
});

describe("bad files", () => {
  const data = new Uint8Array(256);
  const one = [tensorEntry("token_embd.weight", [4n, 4n], 0, 0n)];
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ["wrong magic", gguf({ magic: "GGUX" }), /not a GGUF file/],
    ["big-endian", gguf({ version: 0x03000000 }), /big-endian/],
    ["version 1", gguf({ version: 1 }), /GGUF version 1\. Versions 2 and 3 are read/],
    ["2^60 entries", gguf({ entryCount: 2n ** 60n }), /number of metadata entries: 1152921504606846976 are declared/],
    ["2^60 tensors", gguf({ tensorCount: 2n ** 60n }), /number of tensors: 1152921504606846976 are declared/],
    ["a string of 2^60", gguf({ entries: [entry("k", 8, u64(2n ** 60n))] }), /metadata "k": 1152921504606846976 are/],
    [
      "an array of 2^60",
      gguf({ entries: [entry("k", 9, u32(0), u64(2n ** 60n))] }),
      /metadata "k": 1152921504606846976/,
    ],
    ["an unknown value type", gguf({ entries: [entry("k", 13)] }), /metadata "k": 13 is not a type of value/],
    ["an unknown element type", gguf({ entries: [entry("k", 9, u32(77), u64(0n))] }), /77 is not a type of value/],
    [
      "many elements in all",
      gguf({ entries: ["a", "b"].map((key) => entry(key, 9, u32(0), u64(2n ** 21n + 1n), Buffer.alloc(2 ** 21 + 1))) }),
      /metadata "b": more than 4194304 array elements are declared/,
    ],
    [
      "deep arrays",
      gguf({ entries: [entry("k", 9, ...Array.from({ length: 20 }, () => [u32(9), u64(1n)]).flat())] }),
      /nested too deep/,
    ],
    [
      "a key twice",
      gguf({ entries: [entry("k", 4, u32(1)), entry("k", 4, u32(1))] }),
      /"k": the key stands there twice/,
    ],
    ["an odd alignment", gguf({ entries: [entry("general.alignment", 4, u32(24))] }), /general\.alignment is 24/],
    [
      "a name twice",
      gguf({ tensors: [...one, ...one], data }),
      /tensor "token_embd.weight": two tensors have this name/,
    ],
    ["five dimensions", gguf({ tensors: [tensorEntry("t", [1n, 1n, 1n, 1n, 1n], 0, 0n)] }), /5 dimensions/],
    [
      "2^60 elements",
      gguf({ tensors: [tensorEntry("t", [2n ** 60n], 0, 0n)] }),
      /"t": a dimension of 1152921504606846976/,
    ],
    ["2^80 elements", gguf({ tensors: [tensorEntry("t", [2n ** 40n, 2n ** 40n], 0, 0n)] }), /"t": its shape/],
    [
      "partial blocks",
      gguf({ tensors: [tensorEntry("t", [33n], 8, 0n)] }),
      /"t": its shape \[33\] is impossible for Q8_0/,
    ],
    [
      "a type not read",
      gguf({ tensors: [tensorEntry("t", [256n], 23, 0n)] }),
      /"t": it is stored as IQ4_XS\. Read here: F32/,
    ],
    ["an unknown type", gguf({ tensors: [tensorEntry("t", [256n], 99, 0n)] }), /it is stored as number 99/],
    ["out of range", gguf({ tensors: one, data: new Uint8Array(63) }), /"token_embd.weight": it ends at byte \d+, but/],
    ["offset of 2^60", gguf({ tensors: [tensorEntry("t", [4n], 0, 2n ** 60n)], data }), /"t": it(s offset| ends)/],
    ["misaligned", gguf({ tensors: [tensorEntry("t", [4n], 0, 8n)], data }), /"t": its offset is not a multiple of 32/],
    [
      "overlapping",
      gguf({ tensors: [tensorEntry("a", [16n], 0, 0n), tensorEntry("b", [4n], 0, 32n)], data }),
      /tensor "b": it shares bytes with "a"/,
    ],
  ];
  test.each(cases)("%s", async (_, bytes, message) => {
    const error = await failure(openGguf(memorySource("model.gguf", bytes)));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^model\.gguf/);
  });

  test("truncated at every byte of its header", async () => {
    const path = join(await folderWith(), "model.gguf");
    await using source = await openCheckpoint(
      "synthetic://llama-2-7b?dim=32&heads=2&hidden=32&layers=1&vocab=5&context=8&format=f16",
    );
    await writeGguf(path, source);
    const bytes = await readFile(path);
    const { headerBytes } = await readGgufHeader(memorySource("m", bytes));
    for (let length = 0; length < headerBytes + 1; length++) {
      const error = await failure(openGguf(memorySource("cut.gguf", bytes.subarray(0, length))));
      expect(error, `${length}`).toBeInstanceOf(CheckpointError);
    }
    const error = await failure(openGguf(memorySource("cut.gguf", bytes.subarray(0, bytes.length - 32))));
    expect(error.message).toMatch(/tensor ".+": it ends at byte/);
  });

  interface Spoiled {
    readonly entries?: readonly Uint8Array[];
    readonly tensors?: readonly (readonly [string, readonly bigint[], number])[];
    readonly vocab?: number;
    readonly drop?: string;
    readonly width?: bigint;
    readonly normType?: number;
  }
  const names = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down".split(" ");
  /** A model of one layer with rows of `width`, or what a test makes of it. */
  function model({ entries = [], tensors = [], vocab = 3, drop, width = 4n, normType = 0 }: Spoiled) {
    const all: (readonly [string, readonly bigint[], number])[] = [
      ["token_embd.weight", [width, 3n], 0],
      ...names.map((name): [string, bigint[], number] =>
        name.endsWith("norm")
          ? [`blk.0.${name}.weight`, [width], normType]
          : [`blk.0.${name}.weight`, [width, width], 0],
      ),
      ["output_norm.weight", [width], normType],
      ...tensors,
    ];
    const kept = all.filter(([name]) => name !== drop);
    const step = 4n * width * width;
    return gguf({
      entries: [
        entry("general.architecture", 8, text("llama")),
        entry("llama.block_count", 4, u32(1)),
        entry("llama.context_length", 4, u32(8)),
        entry("llama.embedding_length", 4, u32(Number(width))),
        entry("llama.feed_forward_length", 4, u32(Number(width))),
        entry("llama.attention.head_count", 4, u32(1)),
        entry("llama.vocab_size", 4, u32(vocab)),
        ...entries,
      ],
      tensors: kept.map(([name, dims, type], i) => tensorEntry(name, dims, type, step * BigInt(i))),
      data: new Uint8Array(Number(step) * kept.length),
    });
  }

  test("the model that the next cases spoil is sound, and its output tied", async () => {
    const checkpoint = await openGguf(memorySource("m.gguf", model({})));
    expect(checkpoint.config.tiedEmbeddings).toBe(true);
    expect(checkpoint.tokenizer).toBeUndefined();
    expect(checkpoint.stored).toHaveLength(11);
  });

  const vocabulary = (count: number) => [
    entry("tokenizer.ggml.model", 8, text("llama")),
    entry(
      "tokenizer.ggml.tokens",
      9,
      u32(8),
      u64(BigInt(count)),
      ...Array.from({ length: count }, (_, i) => text(`t${i}`)),
    ),
    entry("tokenizer.ggml.scores", 9, u32(6), u64(BigInt(count)), new Uint8Array(4 * count)),
    entry(
      "tokenizer.ggml.token_type",
      9,
      u32(5),
      u64(BigInt(count)),
      ...Array.from({ length: count }, (_, i) => u32(i ? 1 : 2)),
    ),
  ];
  const contradictions: readonly [string, Uint8Array, RegExp][] = [
    ["a missing tensor", model({ drop: "blk.0.attn_k.weight" }), /"blk.0.attn_k.weight": this tensor .* is missing/],
    ["no tensors of layer 0", model({ drop: "token_embd.weight" }), /"token_embd.weight": this tensor .* is missing/],
    [
      "an unknown tensor",
      model({ tensors: [["blk.0.attn_q.scale", [4n], 0]] }),
      /"blk.0.attn_q.scale": Llama 2 has no such/,
    ],
    ["a layer too many", model({ tensors: [["blk.1.attn_q.weight", [4n, 4n], 0]] }), /a Llama of 1 layers has no such/],
    [
      "a vocabulary that is not the table's",
      model({ vocab: 5 }),
      /"token_embd.weight": it has 3 rows, but llama.vocab_size is 5/,
    ],
    [
      "a vocabulary of another size",
      model({ entries: vocabulary(5) }),
      /tokenizer has 5 tokens, but the embedding table 3 rows/,
    ],
    [
      "an output of another size",
      model({ tensors: [["output.weight", [4n, 2n], 0]] }),
      /"output.weight": it has 2 rows, .* 3\./,
    ],
    [
      "a matrix of another shape",
      model({ tensors: [["output.weight", [3n, 3n], 0]] }),
      /its shape is \[3,3\], but .* \[3,4\]/,
    ],
    [
      "a split file",
      model({ entries: [entry("split.count", 2, new Uint8Array([2, 0]))] }),
      /one of 2 parts of a split/,
    ],
    ["rotary factors", model({ tensors: [["rope_freqs.weight", [2n], 0]] }), /"rope_freqs.weight": its factors change/],
  ];
  test.each(contradictions)("%s", async (_, bytes, message) => {
    const error = await failure(openGguf(memorySource("model.gguf", bytes)));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
  });

  test("rotary factors of one change nothing", async () => {
    const bytes = model({ tensors: [["rope_freqs.weight", [2n], 0]] });
    const { tensors } = await readGgufHeader(memorySource("m", bytes));
    bytes.set(new Uint8Array(new Float32Array([1, 1]).buffer), tensors.at(-1)!.offset);
    const checkpoint = await openGguf(memorySource("m.gguf", bytes));
    expect(checkpoint.stored).toHaveLength(12);
  });

  test("biases of zero change nothing, others are refused", async () => {
    const bytes = model({ tensors: [["blk.0.attn_q.bias", [4n], 0]] });
    expect((await openGguf(memorySource("m.gguf", bytes))).weights.has("layers.0.attention.wq.weight")).toBe(true);
    const { tensors } = await readGgufHeader(memorySource("m", bytes));
    bytes[tensors.at(-1)!.offset + 15] = 63;
    const error = await failure(openGguf(memorySource("m.gguf", bytes)));
    expect(error.message).toMatch(/"blk.0.attn_q.bias": this bias is not zero \(attention_bias or mlp_bias\)/);
  });

  test.each([
    ["llama.attention.sliding_window", u32(8), undefined],
    ["llama.attention.sliding_window", u32(7), /sliding_window is 7; .* up to 8 positions/],
    ["llama.expert_count", u32(0), undefined],
    ["llama.expert_count", u32(8), /llama\.expert_count is 8; only 0/],
  ] as const)("%s", async (key, value, message) => {
    const opening = openGguf(memorySource("m.gguf", model({ entries: [entry(key, 4, value)] })));
    if (message === undefined) await opening;
    else expect((await failure(opening)).message).toMatch(message);
  });

  test("quantized norms are refused", async () => {
    const bytes = model({ width: 32n, normType: 8 });
    const error = await failure(openGguf(memorySource("m.gguf", bytes)));
    expect(error.message).toMatch(/tensor "blk.0.attn_norm.weight": this norm is stored as q8_0/);
  });

  test("another architecture is refused with its name", async () => {
    const bytes = gguf({ entries: [entry("general.architecture", 8, text("qwen2"))] });
    const error = await failure(openGguf(memorySource("m.gguf", bytes)));
    expect(error.code).toBe("ERR_CONFIG");
    expect(error.message).toMatch(/general\.architecture is qwen2/);
  });
});

describe("split files", () => {
  const u16 = (value: number) => new Uint8Array([value & 255, value >> 8]);

  /** The file of a synthetic model, its tensors dealt out to so many parts as llama-gguf-split does. */
  async function parts(count: number, change: (part: number) => object = () => ({})): Promise<Uint8Array[]> {
    const path = join(await folderWith(), "whole.gguf");
    await using model = openSynthetic("synthetic://llama-2-7b?dim=32&heads=2&hidden=64&layers=2&vocab=280&format=q8_0");
    await writeGguf(path, model);
    const whole = new Uint8Array(await readFile(path));
    const { tensors, headerBytes } = await readGgufHeader(memorySource("whole", whole));
    const first = tensors[0]!.name;
    const tableAt = Buffer.from(whole).indexOf(text(first));
    return Array.from({ length: count }, (_, part) => {
      const own = tensors.filter((_, index) => Math.floor((index * count) / tensors.length) === part);
      const keys = { no: part, count, tensors: tensors.length, ...change(part) };
      const entries = [
        entry("split.no", 2, u16(keys.no)),
        entry("split.count", 2, u16(keys.count)),
        entry("split.tensors.count", 5, u32(keys.tensors)),
      ];
      const metadata = part === 0 ? [whole.subarray(24, tableAt)] : [];
      const known = part === 0 ? new DataView(whole.buffer).getBigUint64(16, true) : 0n;
      let offset = 0;
      const at = own.map(({ bytes }) => {
        const start = offset;
        offset += Math.ceil(bytes / 32) * 32;
        return start;
      });
      const data = new Uint8Array(offset);
      for (const [index, tensor] of own.entries()) {
        data.set(whole.subarray(tensor.offset, tensor.offset + tensor.bytes), at[index]!);
      }
      expect(headerBytes).toBeGreaterThan(tableAt);
      return gguf({
        entryCount: known + 3n,
        entries: [...metadata, ...entries],
        tensors: own.map(({ name, shape, format }, index) =>
          tensorEntry(name, [...shape].reverse().map(BigInt), formats[format].ggmlType, BigInt(at[index]!)),
        ),
        data,
      });
    });
  }
  const nameOf = (part: number, count: number) =>
    `m-${String(part + 1).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.gguf`;
  const folderOf = (list: readonly Uint8Array[]) =>
    folderWith(Object.fromEntries(list.map((bytes, part) => [nameOf(part, list.length), bytes])));

  test("any part opens the whole", async () => {
    await using model = openSynthetic("synthetic://llama-2-7b?dim=32&heads=2&hidden=64&layers=2&vocab=280&format=q8_0");
    const folder = await folderOf(await parts(3));
    for (const part of [0, 1, 2]) {
      await using checkpoint = await openCheckpoint(join(folder, nameOf(part, 3)));
      expect(checkpoint.tokenizer?.vocabSize).toBe(280);
      for (const [name, info] of model.weights) {
        expect(checkpoint.weights.get(name)).toEqual(info);
        expect(Buffer.compare(await checkpoint.read(name), await model.read(name)), name).toBe(0);
      }
    }
  });

  test("missing parts are named", async () => {
    const folder = await folderOf(await parts(3));
    await rm(join(folder, nameOf(0, 3)));
    await rm(join(folder, nameOf(2, 3)));
    const error = await failure(openCheckpoint(join(folder, nameOf(1, 3))));
    expect(error.message).toMatch(/of its 3 parts 2 are missing: m-00001-of-00003\.gguf, m-00003-of-00003\.gguf/);
  });

  test("parts that do not belong together", async () => {
    const swapped = await parts(3, (part) => (part === 1 ? { no: 2 } : {}));
    expect((await failure(openCheckpoint(join(await folderOf(swapped), nameOf(0, 3))))).message).toMatch(
      /m-00002-of-00003\.gguf: as part 2 of 3 with \d+ tensors in all, it says to be part 3 of 3/,
    );
    const fewer = await parts(2, () => ({ tensors: 99 }));
    expect((await failure(openCheckpoint(join(await folderOf(fewer), nameOf(0, 2))))).message).toMatch(/of 2 with 99/);
    const [first] = await parts(2);
    const twice = await failure(openCheckpoint(join(await folderOf([first!, first!]), nameOf(0, 2))));
    expect(twice.message).toMatch(/m-00002-of-00002|m-00001-of-00002/);
  });
});

describeWithShared("stories260K", () => {
  test("the GGUF and the llama2.c file hold the same weights under the same names", async () => {
    await using fromGguf = await openCheckpoint(shared("weights/stories260K.gguf"));
    await using fromBin = await openCheckpoint(shared("weights/stories260K.bin"));
    expect(fromGguf.kind).toBe("gguf");
    expect(fromBin.kind).toBe("llama2.c");
    expect(fromBin.config.tiedEmbeddings).toBe(true);
    for (const [name, info] of fromBin.weights) {
      expect(fromGguf.weights.get(name)).toEqual(info);
      expect(Buffer.compare(await fromGguf.read(name), await fromBin.read(name)), name).toBe(0);
    }
    expect(await fromGguf.read("output.weight")).toEqual(await fromBin.read("tok_embeddings.weight"));
    const text = "Once upon a time, there was a little girl named Lily.";
    expect(fromGguf.tokenizer?.encode(text)).toEqual(fromBin.tokenizer?.encode(text));
    expect(fromGguf.tokenizer?.vocabSize).toBe(512);
  });

  test("copying it through the writer keeps every weight and the tokenizer", async () => {
    const folder = await folderWith();
    await using source = await openCheckpoint(shared("weights/stories260K.gguf"));
    await writeGguf(join(folder, "copy.gguf"), source);
    await using copy = await openCheckpoint(join(folder, "copy.gguf"));
    await expectSameWeights(source, copy);
    expect(copy.tokenizer?.encode("Lily and Tom")).toEqual(source.tokenizer?.encode("Lily and Tom"));
  });

  test("a tokenizer file can take the place of the checkpoint's own", async () => {
    await using other = await openCheckpoint(shared("weights/stories260K.gguf"), {
      tokenizer: shared("weights/tok512.bin"),
    });
    expect(other.tokenizer?.vocabSize).toBe(512);
    const error = await failure(
      openCheckpoint(shared("weights/stories260K.gguf"), { tokenizer: shared("tokenizers/llama2.model") }),
    );
    expect(error.message).toMatch(/the tokenizer has 32000 tokens, but the embedding table 512 rows/);
  });

  test("the fingerprint changes with any byte of the header and with the file's time", async () => {
    const bytes = await readFile(shared("weights/stories260K.gguf"));
    const fingerprint = async (content: Uint8Array, version = "1") => {
      const checkpoint = await openGguf(memorySource("m", content, version));
      return checkpoint.fingerprint();
    };
    const first = await fingerprint(bytes);
    expect(await fingerprint(bytes)).toBe(first);
    expect(await fingerprint(bytes, "2")).not.toBe(first);
    const changed = new Uint8Array(bytes);
    const at = bytes.indexOf("llama.context_length") + 24;
    changed[at] = changed[at]! ^ 1;
    expect(await fingerprint(changed)).not.toBe(first);
  });

  test("a file that changes while it is open is noticed", async () => {
    const path = join(await folderWith(), "model.gguf");
    const bytes = await readFile(shared("weights/stories260K.gguf"));
    await writeFile(path, bytes);
    await using checkpoint = await openCheckpoint(path);
    await checkpoint.read("norm.weight");
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    const error = await failure(checkpoint.read("norm.weight"));
    expect(error.message).toMatch(/the file changed while it was open/);
  });
});
