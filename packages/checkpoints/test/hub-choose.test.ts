// Addresses on the hub, and which checkpoint of a repository is taken.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseHubAddress } from "../src/hub/address.ts";
import { chooseCheckpoint, findCheckpoints } from "../src/hub/choose.ts";

const GiB = 2 ** 30;

describe("addresses", () => {
  test.each([
    ["hf:owner/name", "owner/name", undefined, "main"],
    ["owner/name", "owner/name", undefined, "main"],
    ["hf:o/n:Q4_K_M", "o/n", "Q4_K_M", "main"],
    ["hf:o/n:sub folder/a.gguf@refs/pr/1", "o/n", "sub folder/a.gguf", "refs/pr/1"],
    ["hf:The-Owner/a.b_c-1@v1.0", "The-Owner/a.b_c-1", undefined, "v1.0"],
    ["hf:o/n:original/", "o/n", "original", "main"],
  ])("%s", (text, repository, file, revision) => {
    expect(parseHubAddress(text)).toEqual({ repository, file, revision });
  });

  test.each([
    "",
    "hf:",
    "hf:name",
    "hf:a/b/c",
    "hf:../b",
    "hf:a/..",
    "hf:a/b:../c",
    "hf:a/b@..",
    "hf:a/b@a//b",
    "hf:a/b:",
  ])("%j is refused, and the message shows what one looks like", (text) =>
    expect(() => parseHubAddress(text)).toThrow(/is no address on the hub\. One looks like hf:owner\/name/),
  );

  test("no text makes an address with a part that leaves a folder", () => {
    const part = fc.stringMatching(/^[\w./:@\\-]{0,12}$/);
    fc.assert(
      fc.property(part, part, part, part, (a, b, c, d) => {
        let address: ReturnType<typeof parseHubAddress>;
        try {
          address = parseHubAddress(`hf:${a}/${b}:${c}@${d}`);
        } catch {
          return;
        }
        const { repository, file = "", revision } = address;
        expect(repository).toMatch(/^[\w.-]+\/[\w.-]+$/);
        for (const each of [...repository.split("/"), ...file.split("/"), ...revision.split("/")]) {
          expect([".", ".."]).not.toContain(each);
        }
        expect(revision.startsWith("/")).toBe(false);
      }),
    );
  });
});

const files = (sizes: Readonly<Record<string, number>>) =>
  Object.entries(sizes).map(([path, gib]) => ({ path, size: Math.round(gib * GiB) }));

const ggufs = files({ "m.Q2_K.gguf": 2.6, "m.Q4_K_M.gguf": 3.8, "m.Q8_0.gguf": 6.7, "m-IQ2_XXS.gguf": 1.9 });
const safetensors = files({
  "README.md": 0,
  "config.json": 0,
  "generation_config.json": 0,
  "model-00001-of-00002.safetensors": 9,
  "model-00002-of-00002.safetensors": 3.5,
  "model.safetensors.index.json": 0,
  "pytorch_model.bin": 12.5,
  "tokenizer.model": 0,
  "original/consolidated.00.pth": 12.5,
  "original/params.json": 0,
});

const choose = (list: typeof ggufs, wanted: string | undefined, gib: number) =>
  chooseCheckpoint(list, wanted, gib * GiB, "o/n");

describe("choosing", () => {
  test.each([
    [16, "m.Q4_K_M.gguf"],
    [5, "m.Q2_K.gguf"],
  ])("of GGUF files, with %d GiB: %s", (memory, name) => {
    const { checkpoint, reason } = choose(ggufs, undefined, memory);
    expect(checkpoint.name).toBe(name);
    expect(reason).toMatch(
      /GiB\): takes about \d\.\d GiB of this machine's \d+\.0 GiB of memory.* 3 more to choose from/,
    );
    expect(reason.includes("m.Q4_K_M.gguf, m.Q8_0.gguf would not fit")).toBe(memory === 5);
  });

  test.each([
    ["m.F32.gguf", 1],
    ["m.F16.gguf", 2],
    ["m.BF16.gguf", 2],
    ["m.Q4_0.gguf", 1.6],
    ["model.safetensors", 2],
  ])("%s takes %d times its size of memory and half a GiB", (path, factor) => {
    const [checkpoint] = findCheckpoints(files({ [path]: 3, "config.json": 0 }));
    expect(checkpoint?.memory).toBe(Math.round(3 * GiB * factor) + GiB / 2);
  });

  test("a folder's templates are fetched with it, and those of other folders are not", () => {
    const paths = ["a/additional_chat_templates/rag.jinja", "a/additional_chat_templates/x.txt", "a/config.json"];
    const others = ["additional_chat_templates/tool_use.jinja", "b/additional_chat_templates/rag.jinja"];
    const list = [...paths, ...others, "a/model.safetensors"].map((path) => ({ path, size: 1 }));
    const [checkpoint] = findCheckpoints(list);
    expect(checkpoint?.files.map(({ path }) => path).sort()).toEqual([paths[0], paths[2], "a/model.safetensors"]);
    const root = findCheckpoints(list.map(({ path, size }) => ({ path: path.replace(/^a\//, ""), size })));
    expect(root[0]?.files.map(({ path }) => path)).toContain("additional_chat_templates/rag.jinja");
  });

  test("safetensors come first where they fit, as a folder with configuration and tokenizer", () => {
    const { checkpoint } = choose([...safetensors, ...ggufs], undefined, 64);
    expect(checkpoint).toMatchObject({ kind: "safetensors", location: "", name: "model.safetensors.index.json" });
    const fetched = checkpoint.files.map(({ path }) => path).sort();
    expect(fetched).toEqual(
      [
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.model",
      ].sort(),
    );
    const smaller = choose([...safetensors, ...ggufs], undefined, 16);
    expect(smaller.checkpoint.name).toBe("m.Q4_K_M.gguf");
    expect(smaller.reason).toContain("model.safetensors.index.json would not fit");
  });

  test("files of PyTorch are taken where there are no safetensors, and after GGUF", () => {
    const list = files({ "config.json": 0, "pytorch_model.bin": 1, "tokenizer.model": 0, "training_args.bin": 0 });
    const { checkpoint } = choose(list, undefined, 8);
    expect(checkpoint).toMatchObject({ kind: "pytorch", location: "", name: "pytorch_model.bin" });
    expect(checkpoint.files.map(({ path }) => path)).not.toContain("training_args.bin");
    expect(choose([...ggufs, ...list], undefined, 16).checkpoint.kind).toBe("gguf");
    const shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    const split = files({ "config.json": 0, [shards[0]!]: 1, [shards[1]!]: 1, "pytorch_model.bin.index.json": 0 });
    expect(choose(split, shards[1], 1).checkpoint.files.length).toBe(4);
    expect(findCheckpoints(split.filter(({ path }) => path !== shards[0]))[0]?.missing).toBe(1);
  });

  test("Meta's files come last, with their parameters", () => {
    const list = files({ "consolidated.00.pth": 1, "consolidated.01.pth": 1, "params.json": 0, "tokenizer.model": 0 });
    expect(choose(list, undefined, 8).checkpoint).toMatchObject({ kind: "pth", files: list });
    expect(choose([...ggufs, ...list], undefined, 16).checkpoint.kind).toBe("gguf");
    const original = choose(safetensors, "original", 1).checkpoint;
    expect(original).toMatchObject({ kind: "pth", location: "original/consolidated.00.pth" });
    expect(original.files.map(({ path }) => path)).toContain("tokenizer.model");
  });

  test.each([
    ["Q8_0", "m.Q8_0.gguf"],
    ["q2_k", "m.Q2_K.gguf"],
    ["IQ2_XXS", "m-IQ2_XXS.gguf"],
    ["m.Q4_K_M.gguf", "m.Q4_K_M.gguf"],
    ["safetensors", "model.safetensors.index.json"],
    ["model-00002-of-00002.safetensors", "model.safetensors.index.json"],
  ])(":%s names %s, whatever the memory", (wanted, name) => {
    expect(choose([...safetensors, ...ggufs], wanted, 1).checkpoint.name).toBe(name);
  });

  test("a split GGUF is one checkpoint", () => {
    const list = files({ "q/m-Q8_0-00001-of-00002.gguf": 4, "q/m-Q8_0-00002-of-00002.gguf": 4, "mmproj.gguf": 1 });
    const [only, ...others] = findCheckpoints(list);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ type: "Q8_0", location: "q/m-Q8_0-00001-of-00002.gguf", bytes: 8 * GiB, missing: 0 });
    for (const wanted of ["Q8_0", "q/m-Q8_0-00002-of-00002.gguf"]) {
      expect(choose(list, wanted, 1).checkpoint).toEqual(only);
    }
    expect(() => choose(list.slice(0, 1), "Q8_0", 1)).toThrow("is incomplete: 1 of its files are missing");
    expect(() => choose(list.slice(0, 1), undefined, 99)).toThrow("holds nothing to choose");
  });

  test("a llama2.c file is taken by its name, with the tokenizers beside it", () => {
    const list = files({ "s/a.bin": 1, "s/tok512.bin": 0, "s/b.bin": 1, "tokenizer.bin": 0 });
    const { checkpoint } = choose(list, "s/a.bin", 1);
    expect(checkpoint.files.map(({ path }) => path)).toEqual(["s/a.bin", "s/tok512.bin"]);
    expect(() => choose(safetensors, "pytorch_model.bin", 1)).toThrow('o/n has no ":pytorch_model.bin"');
  });

  test.each([
    ["ggml-model-q4_0.gguf", "Q4_0"],
    ["Model-7B.fp16.gguf", "F16"],
    ["model-Q3_K_S-imat.gguf", "Q3_K_S"],
    ["model-BF16.gguf", "BF16"],
    ["stories260K.gguf", undefined],
  ])("%s is %s", (path, type) => {
    expect(findCheckpoints([{ path, size: 1 }])[0]?.type).toBe(type);
  });

  test("what cannot be decided is an error that lists what there is", () => {
    expect(() => choose(ggufs, "Q5_0", 16)).toThrow('o/n has no ":Q5_0". There is: m.Q2_K.gguf (2.6 GiB), ');
    expect(() => choose(ggufs, undefined, 2)).toThrow(
      /^Nothing in o\/n fits this machine's 2\.0 GiB of memory\. There is: .*name it, such as ":m\./,
    );
    const two = files({ "a.Q4_0.gguf": 1, "b.Q4_0.gguf": 1 });
    expect(() => choose(two, undefined, 16)).toThrow("suit equally well. There is: a.Q4_0.gguf (1.0 GiB), b.Q4_0.gguf");
    expect(() => choose(two, "Q4_0", 16)).toThrow('match ":Q4_0"');
    expect(() => choose(files({ "pytorch_model.bin": 1 }), undefined, 16)).toThrow(
      "There is no checkpoint in it that is read here.",
    );
  });
});
