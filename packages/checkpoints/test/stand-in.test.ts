// What people have in place of a model's files: pointers, pages, answers, pieces, other spellings. Each is told for
// what it is.

import { mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint, openFile, readTokenizer, writeGguf } from "../src/index.ts";
import { handCut } from "../src/read/hand-cut.ts";
import { memorySource } from "../src/read/sources/byte-source.ts";
import { refuseStandIn } from "../src/read/sources/stand-in.ts";
import { failure, folderWith, huggingFaceConfig, huggingFaceTensors, safetensors, small } from "./support.ts";
import { torchFile } from "./torch-writer.ts";

const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"9e".repeat(32)}\nsize 13476925163\n`;
const config = JSON.stringify(huggingFaceConfig(small));
const weights = safetensors(huggingFaceTensors(small));

describe("each kind of stand-in", () => {
  test.each<[string, string, RegExp]>([
    ["Git LFS", pointer, /a pointer of Git LFS.*git lfs pull/],
    ["Git LFS of old", "version http://git-media.io/v/2\noid sha256:0\n", /git lfs pull/],
    ["git-annex", "/annex/objects/SHA256E-s13476925163--9e55.safetensors\n", /git-annex.*git annex get \./],
    ["Xet", "# xet version 0\nfilesize = 5\nhash = 'x'\n", /a pointer of Xet/],
    ["a page", "<!DOCTYPE html>\n<html></html>", /a web page.*Download the file again/],
    ["a page behind a mark and spaces", "\ufeff \n<html lang='en'>", /a web page/],
    ["an answer in XML", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', /a server's answer/],
    ["an answer in JSON", '{"error":"Repository not found"}', /a server's answer.*\(".*Repository not found/],
    ["an answer in text", "Entry not found", /a server's answer that was saved.*\("Entry not found"\)/],
    [
      "a gate",
      "Access to model meta-llama/Llama-2-7b-hf is restricted. You must be authenticated",
      /logged in where it is gated/,
    ],
    ["nothing", "", /the file is empty/],
    ["zeros", "\0".repeat(4000), /a file of zeros/],
  ])("%s", async (_, content, message) => {
    const error = await failure(refuseStandIn(memorySource("m.bin", Buffer.from(content))));
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT", file: "m.bin" });
    expect(error.message).toMatch(message);
  });

  test("real files pass", async () => {
    const llama2c = Buffer.alloc(300);
    llama2c.writeInt32LE(0x3c, 0); // a width of 60 begins with "<"
    for (const bytes of [weights, llama2c, Buffer.from(config), Buffer.from("\n\x0e\n\x05<unk>")]) {
      await refuseStandIn(memorySource("m", bytes));
    }
  });
});

describe("every file of a checkpoint", () => {
  const sound = { "config.json": config, "model.safetensors": weights };
  const shard = "model-00001-of-00001.safetensors";
  test.each<[string, Readonly<Record<string, string | Uint8Array>>, string?]>([
    ["model.safetensors", { "config.json": config, "model.safetensors": pointer }],
    ["pytorch_model.bin", { "config.json": config, "pytorch_model.bin": pointer }],
    [
      shard,
      {
        "config.json": config,
        "model.safetensors.index.json": JSON.stringify({ weight_map: { a: shard } }),
        [shard]: pointer,
      },
    ],
    ["model.safetensors.index.json", { "config.json": config, "model.safetensors.index.json": pointer }],
    ["config.json", { ...sound, "config.json": pointer }],
    ["tokenizer.model", { ...sound, "tokenizer.model": pointer }],
    ["tokenizer.json", { ...sound, "tokenizer.json": pointer }],
    ["tokenizer_config.json", { ...sound, "tokenizer_config.json": pointer }],
    ["consolidated.00.pth", { "params.json": "{}", "consolidated.00.pth": pointer }],
    ["params.json", { "params.json": pointer, "consolidated.00.pth": "x" }],
    ["m.gguf", { "m.gguf": pointer }, "m.gguf"],
    ["stories.bin", { "stories.bin": pointer }, "stories.bin"],
  ])("%s", async (name, files, given = "") => {
    const folder = await folderWith(files);
    const error = await failure(openCheckpoint(join(folder, given)));
    expect(error.message).toMatch(
      /this is a pointer of Git LFS, not the file itself\. Fetch it, in its folder, with: git lfs pull/,
    );
    expect(error).toMatchObject({ file: join(folder, name) });
  });

  test("a tokenizer that is given", async () => {
    const folder = await folderWith({ ...sound, "given.model": pointer });
    expect((await failure(readTokenizer(join(folder, "given.model"), 16))).message).toMatch(/git lfs pull/);
    expect((await failure(openCheckpoint(folder, { tokenizer: join(folder, "given.model") }))).message).toMatch(
      /git lfs pull/,
    );
  });

  test("links to what was not fetched", async () => {
    const folder = await folderWith(sound);
    await rm(join(folder, "model.safetensors"));
    await symlink(".git/annex/objects/Xx/SHA256E-s1--0", join(folder, "model.safetensors"));
    expect((await failure(openCheckpoint(folder))).message).toMatch(/a link to "\.git\/annex.*git annex get \./);
    await rm(join(folder, "model.safetensors"));
    await writeFile(join(folder, "model.safetensors"), weights);
    await symlink("../../blobs/0", join(folder, "tokenizer.model"));
    expect((await failure(openCheckpoint(folder))).message).toMatch(
      /tokenizer\.model: this is a link to "\.\.\/\.\.\/blobs\/0", which is not here/,
    );
    expect((await failure(openFile(join(folder, "nothing")))).message).toMatch(/there is no such file/);
  });
});

describe("pieces", () => {
  test.each<[readonly string[], string]>([
    [["m.gguf.part1of2", "m.gguf.part2of2"], "cat m.gguf.part1of2 m.gguf.part2of2 > m.gguf"],
    [
      ["m.gguf-split-a", "m.gguf-split-b", "m.gguf-split-c"],
      "cat m.gguf-split-a m.gguf-split-b m.gguf-split-c > m.gguf",
    ],
    [["m.gguf.partaa", "m.gguf.partab"], "cat m.gguf.partaa m.gguf.partab > m.gguf"],
    [["m.gguf.001", "m.gguf.002", "m.gguf.010"], "cat m.gguf.001 m.gguf.002 m.gguf.010 > m.gguf"],
    [["m.gguf.aa", "m.gguf.ab"], "cat m.gguf.aa m.gguf.ab > m.gguf"],
    [["m.Q8_0.gguf.part-9", "m.Q8_0.gguf.part-10"], "cat m.Q8_0.gguf.part-9 m.Q8_0.gguf.part-10 > m.Q8_0.gguf"],
    [
      ["model.safetensors.00", "model.safetensors.01"],
      "cat model.safetensors.00 model.safetensors.01 > model.safetensors",
    ],
    [["a b.gguf.part1of2", "a b.gguf.part2of2"], 'cat "./a b.gguf.part1of2" "./a b.gguf.part2of2" > "./a b.gguf"'],
  ])("%j", async (pieces, command) => {
    const whole = pieces[0]!.replace(/[-.](?:split|part|\d{2,3}$|\w\w$).*$/, "");
    const folder = await folderWith(Object.fromEntries([...pieces].reverse().map((name) => [name, "GGUF"])));
    for (const given of [...pieces, whole, ""]) {
      const error = await failure(openCheckpoint(join(folder, given)));
      expect(error.message, given).toContain(`Join its pieces first: ${command} (on Windows: copy /b `);
    }
  });

  test("of which some are missing", async () => {
    const folder = await folderWith({ "m.gguf.part1of3": "GGUF", "m.gguf.part3of3": "x" });
    expect((await failure(openCheckpoint(join(folder, "m.gguf.part3of3")))).message).toMatch(
      /one piece of m\.gguf, which was cut by hand; of its 3 pieces only m\.gguf\.part1of3, m\.gguf\.part3of3 are here/,
    );
    const one = await folderWith({ "m.gguf-split-a": "GGUF" });
    expect((await failure(openCheckpoint(join(one, "m.gguf-split-a")))).message).toMatch(
      /of its pieces only m\.gguf-split-a is here/,
    );
  });

  test("names that are none", () => {
    for (const name of [
      "m.gguf",
      "model-00001-of-00002.safetensors",
      "m.Q4_0.gguf",
      "consolidated.00.pth",
      "stories260K.bin",
    ]) {
      expect(handCut(name, name, [name, "tok512.bin"]), name).toBeUndefined();
    }
  });
});

describe("names in capitals, and folders with one file", () => {
  async function renamed(folder: string, change: (name: string) => string): Promise<void> {
    for (const name of await readdir(folder))
      if (name !== "config.json") await rename(join(folder, name), join(folder, change(name)));
  }

  test("safetensors, single and with an index that spells them otherwise", async () => {
    const folder = await folderWith({ "config.json": config, "model.safetensors": weights });
    await renamed(folder, (name) => name.toUpperCase());
    await using single = await openCheckpoint(folder);
    expect(single.kind).toBe("safetensors");
    const names = huggingFaceTensors(small).map(({ name }) => [name, "model-00001-of-00001.safetensors"]);
    const index = JSON.stringify({ weight_map: Object.fromEntries(names) });
    const indexed = await folderWith({
      "config.json": config,
      "model.safetensors.index.json": index,
      "model-00001-of-00001.SAFETENSORS": weights,
    });
    await using several = await openCheckpoint(indexed);
    expect(several.weights.size).toBe(huggingFaceTensors(small).length);
  });

  test("GGUF, whole and in parts, by its folder too", async () => {
    const source = await folderWith({ "config.json": config, "model.safetensors": weights });
    await using model = await openCheckpoint(source);
    const whole = await folderWith();
    await writeGguf(join(whole, "m.gguf"), model);
    await renamed(whole, (name) => name.toUpperCase());
    await using read = await openCheckpoint(join(whole, "M.GGUF"));
    await using byFolder = await openCheckpoint(whole);
    expect([read.kind, byFolder.kind]).toEqual(["gguf", "gguf"]);
    const parts = await folderWith();
    await writeGguf(join(parts, "m.gguf"), model, { shardBytes: 20_000 });
    await renamed(parts, (name) => name.replace(".gguf", ".GGUF"));
    await using joined = await openCheckpoint(parts);
    expect(joined.weights.size).toBe(model.weights.size);
    await writeFile(join(parts, "other.gguf"), "GGUF");
    expect((await failure(openCheckpoint(parts))).message).toMatch(/holds 2 GGUF files/);
  });

  test("Meta's files", async () => {
    const folder = await folderWith({ "params.json": "{}", "CONSOLIDATED.00.PTH": await torchFile([]) });
    expect((await failure(openCheckpoint(folder))).message).toMatch(/params\.json: dim is undefined/);
  });

  test("a safetensors file of another name; files without their index; an adapter alone", async () => {
    await using one = await openCheckpoint(await folderWith({ "config.json": config, "weights.safetensors": weights }));
    expect(one.kind).toBe("safetensors");
    const shards = { "model-00001-of-00002.safetensors": weights, "model-00002-of-00002.safetensors": weights };
    expect((await failure(openCheckpoint(await folderWith({ "config.json": config, ...shards })))).message).toMatch(
      /2 files of a checkpoint, but not the index that lists them\. Download model\.safetensors\.index\.json/,
    );
    const adapter = await folderWith({ "adapter_config.json": "{}", "adapter_model.safetensors": weights });
    expect((await failure(openCheckpoint(adapter))).message).toMatch(/a LoRA adapter and not the model/);
    const empty = await folderWith();
    await mkdir(join(empty, "x"));
    expect((await failure(openCheckpoint(empty))).message).toMatch(/the folder has no model\.safetensors/);
  });
});
