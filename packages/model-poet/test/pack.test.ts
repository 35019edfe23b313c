import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpoint } from "polyllama";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packModel } from "../scripts/pack/pack.ts";
import { isDone, markDone } from "../scripts/train/progress.ts";
import { stagesOf } from "../scripts/train/stages.ts";
import { poet } from "../src/index.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-poet-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("packing", () => {
  test("writes what is embedded, in place of what was there", async () => {
    const to = join(folder, "packed");
    for (const _ of ["first", "again"]) {
      const files = await packModel(poet, to);
      expect([...files.keys()]).toEqual((await readdir(to)).sort());
      expect([...files.keys()]).toEqual(expect.arrayContaining(await readdir(poet)));
    }
    await using model = await openCheckpoint(to);
    expect(new Set(model.stored.map(({ format }) => format))).toEqual(new Set(["f16"]));
    expect(model.text.chatTemplate?.jinja).toContain("[INST]");
  });

  test("refuses what is too large or cannot chat, and leaves what was there", async () => {
    const to = join(folder, "kept");
    await packModel(poet, to);
    const before = await readdir(to);
    await expect(packModel(poet, to, 7_000_000)).rejects.toThrow(/bytes, more than 7000000/);
    const mute = join(folder, "mute");
    await cp(poet, mute, { recursive: true });
    await rm(join(mute, "chat_template.jinja"));
    await expect(packModel(mute, to)).rejects.toThrow("has no chat_template.jinja");
    expect(await readdir(to)).toEqual(before);
    expect((await readdir(folder)).filter((name) => name.includes("unchecked"))).toEqual([]);
  });
});

describe("stages", () => {
  const options = { folder: "/made", corpora: "/corpora", backend: "cpu", ablation: true };
  const stages = stagesOf(options, "/clone/");

  test("begin with what earlier ones made", () => {
    const names = stages.map(({ name }) => name);
    expect(names).toEqual(["data", "pretrain", "chat-data", "sft", "ghost", "pack", "plain", "ablation"]);
    expect(stagesOf({ ...options, ablation: false }, "/clone/").map(({ name }) => name)).toEqual(names.slice(0, 6));
    for (const [index, stage] of stages.entries()) {
      for (const path of stage.arguments.filter((each) => each.endsWith("/latest")))
        expect(names.slice(0, index)).toContain(path.split("/")[2]);
    }
  });

  test("train with and without Ghost Attention alike but for the data", () => {
    const [ghost, plain] = ["ghost", "plain"].map(
      (name) => stages.find((stage) => stage.name === name)?.arguments ?? [],
    );
    const differing = ghost?.filter((each, at) => each !== plain?.[at]);
    expect(differing).toEqual(["/made/ghost.jsonl", "/made/ghost"]);
  });

  test("that have ended are known by their command", async () => {
    const [first, second] = stages;
    if (first === undefined || second === undefined) throw new TypeError("There are no stages.");
    expect(await isDone(folder, first)).toBe(false);
    await markDone(folder, first);
    expect(await isDone(folder, first)).toBe(true);
    expect(await isDone(folder, second)).toBe(false);
    const other = { ...first, arguments: ["elsewhere"] };
    await expect(isDone(folder, other)).rejects.toThrow('"data" was run with other settings');
  });
});
