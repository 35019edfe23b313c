// Fingerprints, for caches: the same while nothing is touched, another one when any file is, however little it shows.

import { createHash } from "node:crypto";
import { readdir, readFile, rename, stat, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { quantizedFormats, quantizeRows } from "@polyllama/formats";
import { describe, expect, onTestFinished, test } from "vitest";
import { openCheckpoint, openSynthetic, quantized, writeGguf } from "../src/index.ts";
import { folderWith, huggingFaceConfig, huggingFaceTensors, safetensors, small } from "./support.ts";
import { metaShards, torchFile } from "./torch-writer.ts";

const model = "synthetic://llama-2-7b?layers=2&dim=64&heads=4&hidden=96&vocab=4000&format=f32";
const moment = new Date("2024-01-02T03:04:05Z");

async function fingerprint(location: string | Blob): Promise<string> {
  await using checkpoint = await openCheckpoint(location);
  return await checkpoint.fingerprint();
}

/** The same bytes but for one bit in the middle between two pages that are looked at. */
function altered(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  const at = Math.floor((bytes.length * 7.5) / 15) + 2048;
  copy[at]! ^= 1;
  return copy;
}

const folders: Readonly<Record<string, () => Promise<string>>> = {
  "safetensors in shards": async () => {
    const config = { ...small, vocabSize: 8000 };
    const tensors = huggingFaceTensors(config);
    const files = ["model-00001-of-00003", "model-00002-of-00003", "model-00003-of-00003"].map(
      (name) => `${name}.safetensors`,
    );
    const parts = files.map((_, part) => tensors.filter((__, i) => Math.floor((i * 3) / tensors.length) === part));
    const map = Object.fromEntries(parts.flatMap((part, i) => part.map(({ name }) => [name, files[i]])));
    return folderWith({
      "config.json": JSON.stringify(huggingFaceConfig(config)),
      "model.safetensors.index.json": JSON.stringify({ weight_map: map }),
      ...Object.fromEntries(files.map((name, i) => [name, safetensors(parts[i]!)])),
    });
  },
  "pytorch_model.bin in shards": async () => {
    const config = { ...small, vocabSize: 8000 };
    const tensors = huggingFaceTensors(config);
    const files = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    const parts = files.map((_, part) => tensors.filter((__, i) => i % 2 === part));
    const map = Object.fromEntries(parts.flatMap((part, i) => part.map(({ name }) => [name, files[i]])));
    return folderWith({
      "config.json": JSON.stringify(huggingFaceConfig(config)),
      "pytorch_model.bin.index.json": JSON.stringify({ weight_map: map }),
      ...Object.fromEntries(
        await Promise.all(files.map(async (name, i) => [name, await torchFile(parts[i]!)] as const)),
      ),
    });
  },
  "Meta's shards": async () => {
    const synthetic = openSynthetic(model);
    const { dim, layers, heads, kvHeads, normEps } = synthetic.config;
    const params = { dim, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, norm_eps: normEps, vocab_size: 4000 };
    const shards = await Promise.all((await metaShards(synthetic, 2)).map((tensors) => torchFile(tensors)));
    const files = Object.fromEntries(shards.map((bytes, i) => [`consolidated.0${i}.pth`, bytes]));
    return folderWith({ "params.json": JSON.stringify(params), ...files });
  },
  "a split GGUF": async () => {
    const folder = await folderWith();
    await writeGguf(join(folder, "m.gguf"), openSynthetic(model), { shardBytes: 700_000 });
    return folder;
  },
};

describe("of files on a disk", () => {
  for (const [kind, make] of Object.entries(folders)) {
    test(`${kind}: each of them counts, also where size, time and samples stay the same`, async () => {
      const folder = await make();
      const names = (await readdir(folder)).sort();
      const weights = names.filter((name) => /\.(safetensors|bin|pth|gguf)$/.test(name));
      expect(weights.length).toBeGreaterThan(1);
      const location = weights[0]!.endsWith(".gguf") ? join(folder, weights[0]!) : folder;
      for (const name of names) await utimes(join(folder, name), moment, moment);
      const seen = new Set([await fingerprint(location)]);
      expect(await fingerprint(location)).toBe([...seen][0]);
      for (const name of weights) {
        const path = join(folder, name);
        const bytes = await readFile(path);
        const before = await stat(path, { bigint: true });

        await writeFile(`${path}.new`, altered(bytes)); // another file in its place
        await rename(`${path}.new`, path);
        await utimes(path, moment, moment);
        expect(await stat(path, { bigint: true })).toMatchObject({ size: before.size, mtimeNs: before.mtimeNs });
        seen.add(await fingerprint(location));

        await writeFile(path, bytes); // the same file, with other bytes
        await utimes(path, moment, moment);
        seen.add(await fingerprint(location));
      }
      expect(seen.size).toBe(1 + 2 * weights.length);
    });
  }
});

describe("of what has no times", () => {
  test("a Blob: its bytes count, all of them", async () => {
    const folder = await folderWith();
    await writeGguf(join(folder, "m.gguf"), openSynthetic(model));
    const bytes = await readFile(join(folder, "m.gguf"));
    const file = (content: Uint8Array<ArrayBuffer>) => new File([content], "m.gguf", { lastModified: 0 });
    const first = await fingerprint(new Blob([bytes]));
    expect(await fingerprint(new Blob([bytes]))).toBe(first);
    expect(await fingerprint(file(bytes))).toBe(first);
    expect(await fingerprint(new Blob([altered(bytes)]))).not.toBe(first);
    expect(await fingerprint(file(altered(bytes)))).not.toBe(first);
  });

  const answers: Readonly<Record<string, (content: number) => Readonly<Record<string, string>>>> = {
    "an ETag": (content) => ({ ETag: `"${content}"` }),
    "Last-Modified": (content) => ({ "Last-Modified": new Date(content * 1e6).toUTCString() }),
    "a weak ETag and Last-Modified": (content) => ({
      ETag: 'W/"1"',
      "Last-Modified": new Date(content * 1e6).toUTCString(),
    }),
    nothing: () => ({}),
  };
  for (const [what, headers] of Object.entries(answers)) {
    test(`a URL whose server sends ${what}`, async () => {
      const folder = await folderWith();
      await writeGguf(join(folder, "m.gguf"), openSynthetic(model));
      const contents = [Uint8Array.from(await readFile(join(folder, "m.gguf")))];
      contents.push(altered(contents[0]!));
      let served = 0;
      const server = createServer((request, response) => {
        const bytes = contents[served]!;
        const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
        const end = last === "" ? bytes.length : Number(last) + 1;
        const range = `bytes ${first}-${end - 1}/${bytes.length}`;
        response.writeHead(206, { ...headers(served), "Content-Range": range }).end(bytes.subarray(Number(first), end));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => {
        server.closeAllConnections();
        server.close();
      });
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m.gguf`; // it listens on a port
      const first = await fingerprint(url);
      expect(await fingerprint(url)).toBe(first);
      served = 1;
      expect(await fingerprint(url)).not.toBe(first);
    });
  }
});

describe("of what is computed", () => {
  /** Values that vary in sign and size. */
  const values = Float32Array.from({ length: 4096 }, (_, i) => ((Math.imul(i, 0x9e3779b1) >> 8) / 2 ** 23) ** 3);

  test("names the quantizer's version, which is raised when its blocks change", async () => {
    const source = openSynthetic(model);
    expect(await quantized(source, "q4_0").fingerprint()).toBe(`${await source.fingerprint()}:q4_0#1`);
    const hash = createHash("sha256");
    for (const format of quantizedFormats) hash.update(quantizeRows(values, format));
    // When this fails, quantization changed: raise QUANTIZER in src/quantize/quantized.ts and the version above.
    expect(hash.digest("hex")).toBe("bbd964bbeda1541915e2000cb9fd0c87ff4d2f09adc083d4f61ca74133c32015");
  });

  test("names the generation of synthetic checkpoints, which is raised when their weights change", async () => {
    const hash = createHash("sha256");
    for (const format of ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"]) {
      const source = openSynthetic(
        `synthetic://llama-2-7b?layers=1&dim=256&heads=4&hidden=256&vocab=300&format=${format}`,
      );
      expect(await source.fingerprint()).toBe(`${source.name}#1`);
      for (const name of source.weights.keys()) hash.update(await source.read(name));
    }
    // When this fails, synthetic weights changed: raise GENERATION in src/synthetic.ts and the number above.
    expect(hash.digest("hex")).toBe("0fb4f99743e5f9469f2b6d49970490cd348dd2fd323e53b20278d5e13f2a9e05");
  });
});
