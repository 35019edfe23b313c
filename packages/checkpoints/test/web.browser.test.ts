// Checkpoints in a page: behind URLs, from servers that misbehave, as files, and in the browser's own storage.

import { type Checkpoint, openCheckpoint, removeKept } from "@polyllama/checkpoints";
import { developmentData, needDevelopmentData } from "@polyllama/test-support/shared-page";
import { afterEach, beforeAll, describe, expect, test } from "vitest";

const poet = `${location.origin}/poet/`;
const gguf = `${location.origin}/shared/weights/stories260K.gguf`;
const piece = 64 * 2 ** 20;

/** All weights, by a sum that tells them apart. */
async function fingerprints(checkpoint: Checkpoint): Promise<ReadonlyMap<string, number>> {
  const sums = new Map<string, number>();
  for (const name of checkpoint.weights.keys()) {
    const bytes = await checkpoint.read(name);
    sums.set(
      name,
      bytes.reduce((sum, byte) => (sum * 31 + byte) >>> 0, bytes.length),
    );
  }
  return sums;
}

async function fetched(url: string): Promise<Blob> {
  return (await fetch(url)).blob();
}

async function sha256(blob: Blob): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

needDevelopmentData();
let expected: ReadonlyMap<string, number>;
beforeAll(async () => {
  if (!developmentData) return;
  await using checkpoint = await openCheckpoint(await fetched(gguf));
  expected = await fingerprints(checkpoint);
});

describe("every way to the same weights", () => {
  test("a URL, by ranges", async () => {
    await using checkpoint = await openCheckpoint(gguf);
    expect(checkpoint.kind).toBe("gguf");
    expect(await fingerprints(checkpoint)).toEqual(expected);
    expect(checkpoint.tokenizer!.encode("Once upon a time")).not.toHaveLength(0);
  });

  test("a File, and a handle of the browser's storage", async () => {
    const file = new File([await fetched(gguf)], "model.gguf");
    await using chosen = await openCheckpoint(file);
    expect(await fingerprints(chosen)).toEqual(expected);
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle("own.gguf", { create: true });
    const writable = await handle.createWritable();
    await writable.write(file);
    await writable.close();
    await using own = await openCheckpoint(handle);
    expect(await fingerprints(own)).toEqual(expected);
    await root.removeEntry("own.gguf");
  });

  test("a folder in Hugging Face's layout, behind a URL and as files", async () => {
    await using served = await openCheckpoint(poet);
    expect(served.kind).toBe("safetensors");
    expect(served.tokenizer!.vocabSize).toBe(served.config.vocabSize);
    const names = ["config.json", "model.safetensors", "tokenizer.model"];
    const files = await Promise.all(names.map(async (name) => new File([await fetched(poet + name)], name)));
    await using chosen = await openCheckpoint(files);
    expect(await fingerprints(chosen)).toEqual(await fingerprints(served));
  });

  test("llama2.c with the tokenizer beside it, and one with another tokenizer", async () => {
    const bin = `${location.origin}/shared/weights/stories260K.bin`;
    await using beside = await openCheckpoint(bin);
    expect(beside.tokenizer!.vocabSize).toBe(512);
    const tokenizer = await fetched(`${location.origin}/shared/weights/tok512.bin`);
    await using given = await openCheckpoint(await fetched(bin), { tokenizer });
    expect(given.tokenizer!.encode("One day")).toEqual(beside.tokenizer!.encode("One day"));
  });
});

describe("servers that misbehave", () => {
  test("connections that break are taken up where they broke", async () => {
    await using checkpoint = await openCheckpoint(`${gguf}?break=100000`);
    expect(await fingerprints(checkpoint)).toEqual(expected);
  });

  test("without range requests the error says how to load it all the same, and so it loads", async () => {
    const url = `${gguf}?ranges=no`;
    await expect(openCheckpoint(url)).rejects.toThrow(/answers a range request with the whole file.*keep: true/);
    await using checkpoint = await openCheckpoint(url, { keep: true });
    expect(await fingerprints(checkpoint)).toEqual(expected);
    await removeKept(url);
  });

  test("without range requests small files of a folder are taken whole", async () => {
    const url = `${poet}?ranges=no`;
    await using checkpoint = await openCheckpoint(url, { keep: true });
    expect(checkpoint.tokenizer!.vocabSize).toBe(checkpoint.config.vocabSize);
    await removeKept(`${poet}model.safetensors?ranges=no`);
  });

  test("refusals, no file, no server", async () => {
    const failure = { name: "CheckpointError", code: "ERR_CHECKPOINT" };
    await expect(openCheckpoint(`${gguf}?status=403`)).rejects.toMatchObject(failure);
    await expect(openCheckpoint(`${gguf}?status=403`)).rejects.toThrow(/answered 403.*login/);
    await expect(openCheckpoint(`${location.origin}/shared/none.gguf`)).rejects.toThrow(/no such file/);
    await expect(openCheckpoint("http://127.0.0.1:9/none.gguf")).rejects.toThrow(/no answer.*CORS/);
  });

  test("a file that is replaced while it is open", async () => {
    await expect(openCheckpoint(`${gguf}?etags=2`).then(fingerprints)).rejects.toThrow(/changed meanwhile/);
  });

  test("an abort ends a read with its reason", async () => {
    await expect(openCheckpoint(gguf, { signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
  });
});

describe("kept in the browser's storage", () => {
  const used: string[] = [];
  const kept = (url: string): string => {
    used.push(url);
    return url;
  };
  afterEach(async () => {
    for (const url of used.splice(0)) await removeKept(url);
  });

  test("a second load asks the server for nothing, and the digest is checked", async () => {
    const digest = await sha256(await fetched(gguf));
    const url = kept(`${gguf}?count=kept`);
    await using first = await openCheckpoint(url, { keep: true, sha256: digest });
    expect(await fingerprints(first)).toEqual(expected);
    await using second = await openCheckpoint(url, { keep: true, sha256: digest.toUpperCase() });
    expect(await fingerprints(second)).toEqual(expected);
    expect(await (await fetch("/requests/kept")).json()).toBe(1);
  });

  test("neither does one without a digest", async () => {
    const url = kept(`${gguf}?count=plain`);
    for (let load = 0; load < 2; load++) {
      await using loaded = await openCheckpoint(url, { keep: true });
      expect(await fingerprints(loaded)).toEqual(expected);
    }
    expect(await (await fetch("/requests/plain")).json()).toBe(1);
  });

  test("a wrong digest removes the file", async () => {
    const url = kept(`${gguf}?count=wrong`);
    const options = { keep: true, sha256: "0".repeat(64) };
    await expect(openCheckpoint(url, options)).rejects.toThrow(/its SHA-256 is [0-9a-f]{64}, not 0{64}/);
    expect(await removeKept(url)).toBe(false);
  });

  test("a download that breaks off goes on where it broke", async () => {
    // Not a checkpoint, so that opening fails once everything is there; what counts is which bytes were asked for.
    const size = 2 * piece + 1000;
    const url = kept(`${location.origin}/noise/${size}.gguf?breaks=${piece + 5000}&count=resumed`);
    const seen: number[] = [];
    const onProgress = ({ done }: { done: number }): void => void seen.push(done);
    await expect(openCheckpoint(url, { keep: true, onProgress })).rejects.toThrow(/no checkpoint that is known/);
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(size);
    expect(seen).toContain(piece); // where the second request began
    expect(await (await fetch("/requests/resumed")).json()).toBe(2);
  });

  test("a download that breaks off again and again is tried three times", async () => {
    const url = kept(`${gguf}?break=5000`);
    let begun = 0;
    const onProgress = ({ done }: { done: number }): void => void (done === 0 && begun++);
    const loading = openCheckpoint(url, { keep: true, onProgress });
    await expect(loading).rejects.toThrow(/the download broke off after \d+ of \d+ bytes/);
    expect(begun).toBe(3);
  });

  test("not enough room is said before anything is downloaded", async () => {
    const url = kept(`${location.origin}/noise/${2 ** 50}.gguf`);
    await expect(openCheckpoint(url, { keep: true })).rejects.toThrow(
      /needs 1073741824 MiB, but the browser has \d+ MiB/,
    );
  });

  test("a digest without keeping is refused", async () => {
    await expect(openCheckpoint(gguf, { sha256: "00" })).rejects.toMatchObject({ code: "ERR_OPTION" });
  });
});
