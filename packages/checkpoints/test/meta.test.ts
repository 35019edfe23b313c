// Meta's .pth files and Hugging Face's pytorch_model.bin: what is read, what is refused, and slices that join bit for
// bit.

import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, llamaGraph, type WeightSource } from "@polyllama/core";
import { describeWithShared, shared } from "@polyllama/test-support/shared";
import { describe, expect, test } from "vitest";
import { type ByteSource, memorySource, openCheckpoint, openMeta } from "../src/index.ts";
import { readTorchFile } from "../src/read/torch/torch-file.ts";
import {
  coordinates,
  failure,
  folderWith,
  huggingFaceConfig,
  huggingFaceTensors,
  type RawTensor,
  small,
} from "./support.ts";
import { metaShards, pickleOf, pickler, type TorchOptions, torchFile } from "./torch-writer.ts";

const params = {
  dim: small.dim,
  n_layers: small.layers,
  n_heads: small.heads,
  n_kv_heads: small.kvHeads,
  multiple_of: 8,
  norm_eps: small.normEps,
  vocab_size: -1,
  max_seq_len: small.contextLength,
};

/** Weights whose values say where they belong. */
const coded: WeightSource = {
  name: "coded",
  weights: new Map(llamaGraph(small).weights.map(({ name, shape }) => [name, { name, shape, format: "f32" }])),
  async read(name) {
    const tensor = llamaGraph(small).weights.findIndex((weight) => weight.name === name);
    const { shape } = llamaGraph(small).weights[tensor]!;
    const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) values.set(coordinates(tensor, row, columns), row * columns);
    return new Uint8Array(values.buffer);
  },
  fingerprint: async () => "coded",
};

async function shardFiles(
  model: WeightSource,
  count: number,
  options: TorchOptions = {},
): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (const [index, tensors] of (await metaShards(model, count)).entries()) {
    const stem = `consolidated.${String(index).padStart(2, "0")}`;
    files[`${stem}.pth`] = await torchFile(tensors, { folder: stem, ...options });
  }
  return files;
}

async function metaFolder(count: number, change: object = {}, options: TorchOptions = {}): Promise<string> {
  return folderWith({
    ...(await shardFiles(coded, count, options)),
    "params.json": JSON.stringify({ ...params, ...change }),
  });
}

async function expectSameWeights(actual: WeightSource, expected: WeightSource): Promise<void> {
  for (const [name, { format, shape }] of expected.weights) {
    expect(actual.weights.get(name), name).toEqual({ name, format, shape });
    expect(Buffer.compare(await actual.read(name), await expected.read(name)), name).toBe(0);
  }
}

describe("slices", () => {
  test.each([1, 2, 3, 4, 8])("%i files join to the whole", async (count) => {
    await using checkpoint = await openCheckpoint(await metaFolder(count));
    expect(checkpoint.kind).toBe("meta");
    expect(checkpoint.config).toEqual(small);
    expect(checkpoint.stored).toHaveLength(count * (coded.weights.size + 1));
    await expectSameWeights(checkpoint, coded);
  });

  test("any rows are those of the whole", async () => {
    await using checkpoint = await openCheckpoint(await metaFolder(4));
    for (const [name, { shape }] of coded.weights) {
      if (shape.length === 1) continue;
      const whole = await coded.read(name);
      const rowBytes = shape[1]! * 4;
      for (const [first, count] of [
        [0, 1],
        [3, 9],
        [shape[0]! - 1, 1],
        [5, 0],
      ] as const) {
        const rows = await checkpoint.read(name, { rows: { first, count } });
        expect(Buffer.compare(rows, whole.subarray(first * rowBytes, (first + count) * rowBytes)), name).toBe(0);
      }
    }
  });

  test("a read touches the bytes of its rows alone", async () => {
    const read: number[] = [];
    const sources = Object.entries(await shardFiles(coded, 2)).map(([name, bytes]): ByteSource => {
      const source = memorySource(name, bytes);
      const counted = (offset: number, length: number) => {
        read.push(length);
        return source.read(offset, length);
      };
      return { ...source, read: counted };
    });
    const parts = { name: "m", params, paramsName: "params.json", tokenizer: async () => undefined };
    const checkpoint = await openMeta(sources, parts);
    read.length = 0;
    await checkpoint.read("layers.0.feed_forward.w1.weight", { rows: { first: 18, count: 4 } }); // 20 rows in each file
    expect(read).toEqual([2 * 24 * 4, 2 * 24 * 4]);
    read.length = 0;
    await checkpoint.read("layers.0.feed_forward.w1.weight", { rows: { first: 30, count: 1 } });
    expect(read).toEqual([24 * 4]);
    read.length = 0;
    await checkpoint.read("layers.0.attention.wo.weight", { rows: { first: 3, count: 2 } });
    expect(read).toEqual([2 * 12 * 4, 2 * 12 * 4]);
  });

  test("any one of the files opens all of them", async () => {
    const folder = await metaFolder(2);
    await using checkpoint = await openCheckpoint(join(folder, "consolidated.01.pth"));
    await expectSameWeights(checkpoint, coded);
  });

  test("a missing output matrix means tied embeddings; hidden width and vocabulary come from the weights", async () => {
    const [tensors] = await metaShards(coded, 1);
    const folder = await folderWith({
      "model.pth": await torchFile(tensors!.filter(({ name }) => name !== "output.weight")),
      "params.json": JSON.stringify({ ...params, vocab_size: undefined, multiple_of: 256 }),
    });
    await using checkpoint = await openCheckpoint(join(folder, "model.pth"));
    expect(checkpoint.config).toEqual({ ...small, tiedEmbeddings: true });
  });

  test.each<[string, (files: Record<string, Uint8Array>) => unknown, RegExp]>([
    ["the last file is missing", (f) => delete f["consolidated.03.pth"], /one of 4 files, but 3 are there/],
    [
      "one in between is missing",
      (f) => delete f["consolidated.01.pth"],
      /consolidated\.01\.pth: this file is missing/,
    ],
  ])("%s", async (_, change, message) => {
    const files = await shardFiles(coded, 4);
    change(files);
    const folder = await folderWith({ ...files, "params.json": JSON.stringify(params) });
    expect((await failure(openCheckpoint(folder))).message).toMatch(message);
  });

  test("files of different checkpoints do not mix", async () => {
    const [first, second] = await metaShards(coded, 2);
    const mixed = async (change: (tensor: RawTensor) => RawTensor | undefined): Promise<string> => {
      const changed = second!.flatMap((tensor) => change(tensor) ?? []);
      const folder = await folderWith({
        "consolidated.00.pth": await torchFile(first!),
        "consolidated.01.pth": await torchFile(changed),
        "params.json": JSON.stringify(params),
      });
      return (await failure(openCheckpoint(folder))).message;
    };
    expect(await mixed((t) => (t.name.includes("wv") ? undefined : t))).toMatch(
      /consolidated\.01\.pth, tensor "layers\.0\.attention\.wv\.weight": this tensor is missing/,
    );
    const half = (t: RawTensor) => ({ ...t, dtype: "F16", bytes: new Uint8Array(t.bytes.length / 2) });
    expect(await mixed(half)).toMatch(/its slice is F16 .*, but that of the first file F32/);
    const other = (t: RawTensor) => (t.name === "norm.weight" ? { ...t, bytes: new Uint8Array(96) } : t);
    expect(await mixed(other)).toMatch(
      /consolidated\.01\.pth, tensor "norm\.weight": it differs from that of .*00\.pth/,
    );
    const shorter = (t: RawTensor) =>
      t.name === "norm.weight" ? { ...t, shape: [20], bytes: t.bytes.subarray(16) } : t;
    expect(await mixed(shorter)).toMatch(/"norm\.weight": its slice is \[20\], which does not fit \[24\]/);
    const narrow = (t: RawTensor) => (t.name === "output.weight" ? { ...t, shape: [4, 12] } : t);
    expect(await mixed(narrow)).toMatch(/"output\.weight": its slice is \[4,12\], which does not fit \[8,24\]/);
  });
});

describe("params.json", () => {
  test("is needed", async () => {
    const folder = await folderWith(await shardFiles(coded, 1));
    expect((await failure(openCheckpoint(folder))).message).toMatch(/params\.json: this file is missing; Meta's files/);
  });

  test("a vocabulary that contradicts the table", async () => {
    const error = await failure(openCheckpoint(await metaFolder(1, { vocab_size: 20 })));
    expect(error.message).toMatch(/"tok_embeddings.weight": it has 16 rows, but the configuration .* of 20/);
  });

  test("another width", async () => {
    const error = await failure(openCheckpoint(await metaFolder(1, { dim: 48 })));
    expect(error.message).toMatch(/one of 2 files, but 1 is there/);
  });

  test.each([
    ["use_scaled_rope", true],
    ["moe", { num_experts: 8 }],
  ] as const)("%s is refused", async (field, value) => {
    const error = await failure(openCheckpoint(await metaFolder(1, { [field]: value })));
    expect(error.code).toBe("ERR_CONFIG");
    expect(error.message).toContain(`${field} is `);
  });
});

describe("files of torch.save", () => {
  const tensors: RawTensor[] = [
    { name: "a", dtype: "F32", shape: [2, 3], bytes: new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer) },
    { name: "b", dtype: "BF16", shape: [4], bytes: new Uint8Array(8).fill(63) },
    { name: "scalar", dtype: "F16", shape: [], bytes: new Uint8Array(2) },
  ];
  const open = async (options: TorchOptions = {}, list = tensors) =>
    readTorchFile(memorySource("m.pth", await torchFile(list, options)));

  test.each<TorchOptions>([{}, { protocol: 4 }, { protocol: 5 }, { zip64: true }, { folder: "consolidated.00" }])(
    "%o",
    async (options) => {
      const bytes = await torchFile(tensors, options);
      const file = await readTorchFile(memorySource("m.pth", bytes));
      expect(file.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(
        tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
      );
      for (const [index, { offset, bytes: length }] of file.tensors.entries()) {
        expect(bytes.subarray(offset, offset + length)).toEqual(tensors[index]!.bytes);
      }
    },
  );

  const calls = (module: string, name: string, protocol: 2 | 4 = 2): Uint8Array => {
    const p = pickler(protocol);
    p.name(module, name);
    p.bytes("(");
    p.text("touch /tmp/owned");
    p.bytes("tR.");
    return p.finish();
  };

  test.each([
    ["os", "system"],
    ["posix", "system"],
    ["builtins", "eval"],
    ["torch", "load"],
    ["torch", "constructor"],
    ["torch._utils", "_rebuild_sparse_tensor"],
    ["collections", "Counter"],
    ["torch._utils", "__init__"],
  ])("what calls %s.%s is refused by that name", async (module, name) => {
    for (const protocol of [2, 4] as const) {
      const error = await failure(open({ pickle: calls(module, name, protocol) }));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain(`its pickle calls "${module}.${name}"`);
    }
  });

  const pickled = (latin1: string): TorchOptions => ({ pickle: Buffer.from(`\x80\x02${latin1}`, "latin1") });
  test.each<[string, TorchOptions, RegExp]>([
    ["an instance of a storage", pickled("ctorch\nHalfStorage\n)\x81."), /a storage is called/],
    [
      "an operation of scripts",
      pickled("ccollections\nOrderedDict\n)i."),
      /operation 0x69 has no place in a state dict/,
    ],
    ["a name of two lines", pickled("cos\nsystem"), /a name does not end/],
    ["no end", pickled("}"), /1 bytes are declared, but 0 are left/],
    ["an empty stack", pickled("s."), /nothing is left on the stack/],
    ["a mark too many", pickled("(}."), /values are left over at its end/],
    ["a mark that is missing", pickled("u."), /a mark is missing/],
    ["a memo that is missing", pickled("h\x07."), /7 was not memoized/],
    ["a length beyond the end", pickled("X\xff\xff\xff\xff."), /4294967295 bytes are declared/],
    ["a long beyond 64 bits", pickled(`\x8a\x09${"\xff".repeat(9)}.`), /an integer of 9 bytes/],
    ["an unknown protocol", { pickle: Buffer.from("\x80\x09}.", "latin1") }, /protocol 9 is unknown/],
    ["a list", pickled("]."), /it holds a list, not a dict of tensors/],
    ["a nested dict", pickled("}X\x05\x00\x00\x00model}s."), /a dict whose "model" is a dict/],
    ["a number as key", pickled("}K\x01K\x02s."), /a dict with a number as key/],
    [
      "many values",
      { pickle: Buffer.concat([Buffer.alloc(300_000, "}"), Buffer.from(".")]) },
      /more than 262144 values/,
    ],
    ["a called storage", pickled("ctorch\nHalfStorage\n)R."), /a storage is called/],
    ["other strides", { strides: ({ shape }) => [...shape].reverse() }, /"a": its strides \[3,2\] do not run/],
    ["big-endian", { byteOrder: "big" }, /its byte order is "big"/],
    ["compressed", { compress: true }, /this entry is compressed or encrypted/],
  ])("%s", async (_, options, message) => {
    const error = await failure(open(options));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(message);
  });

  test("a storage that is missing or too small", async () => {
    const more = [...tensors, { name: "c", dtype: "F32", shape: [1], bytes: new Uint8Array(4) }];
    expect((await failure(open({ pickle: pickleOf(more) }))).message).toMatch(/"c": its storage "3" is missing/);
    const larger = [{ ...tensors[0]!, shape: [3, 3] }, ...tensors.slice(1)];
    expect((await failure(open({}, larger))).message).toMatch(
      /"a": its shape \[3,3\] of F32 reaches past the 24 bytes/,
    );
  });

  test("entries that share bytes, wholly or in part", async () => {
    const same = ["a", "b"].map((name) => ({ name, dtype: "F32", shape: [4], bytes: new Uint8Array(16) }));
    const file = Buffer.from(await torchFile(same));
    const central = (name: string) => file.lastIndexOf(`archive/data/${name}`) - 46; // headers of the directory
    const offset = file.readUInt32LE(central("0") + 42);
    file.writeUInt32LE(offset, central("1") + 42);
    const error = await failure(readTorchFile(memorySource("m.pth", file)));
    expect(error.message).toMatch(/m\.pth, tensor "archive\/data\/1": it shares bytes with "archive\/data\/0"/);
    const within = Buffer.from(await torchFile(same));
    // its sizes reach into the next
    within.writeUInt32LE(within.readUInt32LE(central("1") + 20) + 200, central("0") + 20);
    within.writeUInt32LE(within.readUInt32LE(central("0") + 20), central("0") + 24);
    expect((await failure(readTorchFile(memorySource("m.pth", within)))).message).toMatch(/shares bytes with/);
  });

  test("elements that are not read here", async () => {
    const folder = await folderWith({
      "consolidated.00.pth": await torchFile([
        { name: "tok_embeddings.weight", dtype: "F64", shape: [1, 1], bytes: new Uint8Array(8) },
      ]),
      "params.json": JSON.stringify(params),
    });
    expect((await failure(openCheckpoint(folder))).message).toMatch(/it is stored as F64\. Read here: F32/);
  });

  test("tensors beyond 4 GiB, as in every file of 7B", async () => {
    const large = 5 * 2 ** 30;
    const shapes = [
      { name: "large", dtype: "F32", shape: [5 * 2 ** 10, 2 ** 18], bytes: { length: large } },
      { name: "after", dtype: "F32", shape: [2], bytes: { length: 8 } },
    ];
    const pickle = pickleOf(shapes);
    const stored = [
      { name: "m/data.pkl", length: pickle.length },
      { name: "m/data/0", length: large },
      { name: "m/data/1", length: 8 },
    ];
    // Whatever is not written here is zero, and never in memory.
    const written: { readonly at: number; readonly bytes: Uint8Array }[] = [];
    let at = 0;
    const write = (bytes: Uint8Array): void => {
      written.push({ at, bytes });
      at += bytes.length;
    };
    const directory = stored.map(({ name, length }, index) => {
      const offset = at;
      const sizes = Buffer.alloc(20);
      sizes.writeUInt32LE(0x00100001); // Zip64's extra field, 16 bytes
      sizes.writeBigUInt64LE(BigInt(length), 4);
      sizes.writeBigUInt64LE(BigInt(length), 12);
      const local = Buffer.alloc(30);
      local.writeUInt32LE(0x04034b50);
      local.writeUInt16LE(45, 4);
      local.fill(255, 18, 26);
      local.writeUInt16LE(name.length, 26);
      local.writeUInt16LE(20, 28);
      write(Buffer.concat([local, Buffer.from(name), sizes]));
      if (index === 0) write(pickle);
      else if (index === 2) write(new Uint8Array(Float32Array.of(1.5, -2).buffer));
      else at += length;
      const extra = Buffer.alloc(28);
      sizes.copy(extra);
      extra.writeUInt32LE(0x00180001);
      extra.writeBigUInt64LE(BigInt(offset), 20);
      const central = Buffer.alloc(46);
      central.writeUInt32LE(0x02014b50);
      central.writeUInt32LE(45 | (45 << 16), 4);
      central.fill(255, 20, 28);
      central.writeUInt16LE(name.length, 28);
      central.writeUInt16LE(28, 30);
      central.fill(255, 42, 46);
      return Buffer.concat([central, Buffer.from(name), extra]);
    });
    const start = at;
    const central = Buffer.concat(directory);
    write(central);
    const end = Buffer.alloc(56 + 20 + 22);
    end.writeUInt32LE(0x06064b50);
    end.writeBigUInt64LE(44n, 4);
    end.writeUInt32LE(45 | (45 << 16), 12);
    end.writeBigUInt64LE(3n, 24);
    end.writeBigUInt64LE(3n, 32);
    end.writeBigUInt64LE(BigInt(central.length), 40);
    end.writeBigUInt64LE(BigInt(start), 48);
    end.writeUInt32LE(0x07064b50, 56);
    end.writeBigUInt64LE(BigInt(at), 64);
    end.writeUInt32LE(1, 72);
    end.writeUInt32LE(0x06054b50, 76);
    end.fill(255, 84, 96);
    write(end);
    const source: ByteSource = {
      ...memorySource("large.pth", new Uint8Array(0)),
      size: at,
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        for (const range of written) {
          const from = Math.max(offset, range.at);
          const to = Math.min(offset + length, range.at + range.bytes.length);
          if (from < to) bytes.set(range.bytes.subarray(from - range.at, to - range.at), from - offset);
        }
        return bytes;
      },
    };
    const file = await readTorchFile(source);
    expect(file.tensors.map(({ name, shape, bytes }) => [name, shape, bytes])).toEqual([
      ["large", [5120, 262144], large],
      ["after", [2], 8],
    ]);
    const { offset } = file.tensors[1]!;
    expect(offset).toBeGreaterThan(large);
    expect([...new Float32Array((await source.read(offset, 8)).buffer)]).toEqual([1.5, -2]);
  });

  test("truncated anywhere", async () => {
    const whole = await torchFile(tensors);
    for (let length = 0; length < whole.length; length += 7) {
      const error = await failure(readTorchFile(memorySource("cut", whole.subarray(0, length))));
      expect(error, `${length}`).toBeInstanceOf(CheckpointError);
    }
  });

  test("zip archives that are none of PyTorch's, and pickles that are no archives", async () => {
    const zip = await torchFile(tensors, { folder: "a/b" });
    const folder = await folderWith({
      "a.pth": zip,
      "b.pth": Buffer.from("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "latin1"),
    });
    expect((await failure(openCheckpoint(join(folder, "a.pth")))).message).toMatch(/has no data\.pkl/);
    expect((await failure(openCheckpoint(join(folder, "b.pth")))).message).toMatch(
      /a bare pickle, as PyTorch wrote it before version 1\.6\. Save it again/,
    );
  });
});

describe("pytorch_model.bin", () => {
  const tensors = huggingFaceTensors(small);

  test("opens as the same model in safetensors does", async () => {
    const config = JSON.stringify(huggingFaceConfig(small));
    const folder = await folderWith({ "pytorch_model.bin": await torchFile(tensors), "config.json": config });
    for (const path of [folder, join(folder, "pytorch_model.bin")]) {
      await using checkpoint = await openCheckpoint(path);
      expect(checkpoint.kind).toBe("pytorch");
      await expectSameWeights(checkpoint, coded);
    }
  });

  test("in two files with an index", async () => {
    const name = (index: number) => `pytorch_model-0000${index + 1}-of-00002.bin`;
    const halves = [tensors.slice(0, 9), tensors.slice(9)];
    const map = Object.fromEntries(halves.flatMap((half, i) => half.map((tensor) => [tensor.name, name(i)])));
    const folder = await folderWith({
      [name(0)]: await torchFile(halves[0]!),
      [name(1)]: await torchFile(halves[1]!),
      "pytorch_model.bin.index.json": JSON.stringify({ weight_map: map }),
      "config.json": JSON.stringify(huggingFaceConfig(small)),
    });
    await using checkpoint = await openCheckpoint(folder);
    await expectSameWeights(checkpoint, coded);
    expect((await failure(openCheckpoint(join(folder, name(1))))).message).toMatch(/one of the 2 files/);
  });
});

describeWithShared("real models, sliced", () => {
  test.each([
    ["stories260K", "weights/stories260K.bin", 1],
    ["stories260K", "weights/stories260K.bin", 2],
    ["stories260K", "weights/stories260K.bin", 8],
    ["TinyStories-656K", "weights/TinyStories-656K", 1],
    ["TinyStories-656K", "weights/TinyStories-656K", 2],
    ["TinyStories-656K", "weights/TinyStories-656K", 8],
  ])("%s", async (_, path, count) => {
    await using model = await openCheckpoint(shared(path));
    const { dim, layers, heads, kvHeads, normEps, contextLength } = model.config;
    const fields = { dim, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, norm_eps: normEps, vocab_size: -1 };
    const folder = await folderWith({
      ...(await shardFiles(model, count)),
      "params.json": JSON.stringify({ ...fields, max_seq_len: contextLength }),
    });
    await using joined = await openCheckpoint(folder);
    expect(joined.config).toEqual({ ...model.config, tiedEmbeddings: false });
    await expectSameWeights(joined, model);
    expect(Buffer.compare(await joined.read("output.weight"), await joined.read("tok_embeddings.weight"))).toBe(0);
  });

  test("the tokenizer stands in the folder, or the one above", async () => {
    await using poet = await openCheckpoint(shared("weights/poet"));
    const { dim, layers, heads, kvHeads } = poet.config;
    const folder = await folderWith({
      ...(await shardFiles(poet, 2)),
      "params.json": JSON.stringify({ dim, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, vocab_size: -1 }),
      "tokenizer.model": await readFile(shared("weights/poet/tokenizer.model")),
    });
    await using joined = await openCheckpoint(folder);
    expect(joined.tokenizer?.encode("床前明月光")).toEqual(poet.tokenizer?.encode("床前明月光"));
    expect(joined.metadata.get("tokenizer.ggml.model")).toBe("llama");
    await expectSameWeights(joined, poet);
  });
});

const python = spawnSync("python3", ["-c", "import torch; print(torch.__version__)"], { encoding: "utf8" });

describe.skipIf(python.status !== 0)("files that PyTorch itself writes (needs python3 with torch)", () => {
  test("hold what was saved", async () => {
    const folder = await folderWith();
    const program = `
import torch, collections, sys
t = lambda *s, dtype: torch.arange(torch.Size(s).numel(), dtype=torch.float32).reshape(s).to(dtype)
base = t(6, 4, dtype=torch.float32)
d = collections.OrderedDict(h=t(3, 5, dtype=torch.float16), b=t(2, 2, dtype=torch.bfloat16), v=base[2:5], w=base[4], s=t(dtype=torch.float32))
for protocol in (2, 4, 5): torch.save(d, f"{sys.argv[1]}/{protocol}.pth", pickle_protocol=protocol)
torch.save(torch.nn.Linear(3, 2).state_dict(), sys.argv[1] + "/module.pth")
torch.save({"t": base.t()}, sys.argv[1] + "/turned.pth")
torch.save(torch.nn.Linear(3, 2), sys.argv[1] + "/whole.pth")
`;
    const run = spawnSync("python3", ["-c", program, folder], { encoding: "utf8" });
    expect(run.stderr + run.stdout).toBe("");
    for (const protocol of [2, 4, 5]) {
      const bytes = await readFile(join(folder, `${protocol}.pth`));
      const { tensors } = await readTorchFile(memorySource("m", bytes));
      const floats = (name: string): number[] => {
        const tensor = tensors.find((candidate) => candidate.name === name)!;
        return [
          ...new Float32Array(Uint8Array.from(bytes.subarray(tensor.offset, tensor.offset + tensor.bytes)).buffer),
        ];
      };
      expect(tensors.map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
        ["h", "F16", [3, 5]],
        ["b", "BF16", [2, 2]],
        ["v", "F32", [3, 4]],
        ["w", "F32", [4]],
        ["s", "F32", []],
      ]);
      expect(floats("v")).toEqual([8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
      expect(floats("w")).toEqual([16, 17, 18, 19]);
    }
    const source = async (name: string) => memorySource(name, await readFile(join(folder, name)));
    const { tensors } = await readTorchFile(await source("module.pth"));
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ["weight", [2, 3]],
      ["bias", [2]],
    ]);
    expect((await failure(readTorchFile(await source("turned.pth")))).message).toMatch(/strides \[1,4\] do not run/);
    expect((await failure(readTorchFile(await source("whole.pth")))).message).toMatch(/its pickle calls "torch\.nn/);
  });
});
