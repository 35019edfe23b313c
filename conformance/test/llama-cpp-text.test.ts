// What llama.cpp takes from GGUF files that were written here: the ids of texts with and without special tokens, BOS
// policy, every token that ends a text, the chat template. It must be what is read here out of the same file, and out
// of the source. Optional: `npm run conformance:llama-cpp` installs node-llama-cpp and runs it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type Checkpoint, openCheckpoint, writeGguf, writeSafetensors } from "@polyllama/checkpoints";
import { poet } from "@polyllama/model-poet";
import { present, shared } from "@polyllama/test-support/shared";
import { basePieces, type TextFolderParts, writeTextFolder } from "@polyllama/test-support/text-folder";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const benchmarks = fileURLToPath(new URL("../../benchmarks/", import.meta.url));
const installed = existsSync(join(benchmarks, "node_modules/node-llama-cpp"));
const folder = mkdtempSync(join(tmpdir(), "polyllama-llama-cpp-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Answer {
  readonly bos: number | null;
  readonly eos: number | null;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly ends: readonly number[];
  readonly chatTemplate: string | null;
  readonly plain: readonly (readonly number[])[];
  readonly special: readonly (readonly number[])[];
}

interface Question {
  readonly model: string;
  readonly texts: readonly string[];
}

/** All questions in one process, since starting llama.cpp takes longer than answering. */
async function llamaCpp(questions: readonly Question[]): Promise<readonly Answer[]> {
  const script = join(benchmarks, "engines/llama-cpp-text.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script], { cwd: benchmarks, timeout: 240_000 });
  child.stdin.end(JSON.stringify(questions));
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const plainTexts = [
  "Say",
  " two  spaces,\ttab\nline 1234567890 3.14 (x) => {y[0]};\n\n",
  "床前明月光，疑是地上霜。",
  "Ünïcödé ﬁ ① ｆｕｌｌ Привет 안녕 \u{1f999}",
  "",
];

/** Names of added tokens among words, at both ends and side by side. */
function textsFor({ tokenizer }: Checkpoint): readonly string[] {
  const ids = Array.from({ length: tokenizer!.vocabSize }, (_, id) => id);
  const added = ids.filter((id) => ["control", "user-defined"].includes(tokenizer!.kind(id)));
  const names = added.map((id) => tokenizer!.piece(id));
  const around = names.flatMap((name) => [
    `${name}user\nHi ${name} there${name}`,
    `Say${name}${name}\n`,
    ` ${name.slice(0, -1)}`,
  ]);
  return [...plainTexts, ...around, names.join(" and ")];
}

/** What is read here. */
function answerOf({ tokenizer, text }: Checkpoint, texts: readonly string[]): Answer {
  const { bos, eos, encode } = tokenizer!;
  const ids = (special: boolean) => texts.map((one) => encode(one, { bos: false, eos: false, special }));
  return {
    bos: bos ?? null,
    eos: eos ?? null,
    addBos: text.addBos,
    addEos: text.addEos,
    ends: text.ends.map(({ id }) => id),
    chatTemplate: text.chatTemplate?.jinja ?? null,
    plain: ids(false),
    special: ids(true),
  };
}

const template =
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}";
const chatml = { content: ["<|im_start|>", "<|im_end|>"], special: true };
const [first, second] = [basePieces, basePieces + 1];
const folders: Readonly<Record<string, readonly [TextFolderParts, Partial<Answer>]>> = {
  "no-bos": [{ tokenizerConfig: { add_bos_token: false } }, { addBos: false, ends: [2] }],
  "add-eos": [{ tokenizerConfig: { add_eos_token: true } }, { addEos: true }],
  "own-template": [{ tokenizerConfig: { chat_template: template } }, { chatTemplate: template }],
  padded: [{ paddingRows: 64 }, { ends: [2] }],
  "added-control": [{ added: chatml }, { ends: [2, second] }],
  "added-name": [{ added: { content: ["<|user|>", "<|user|>x"], special: false } }, { ends: [2] }],
  "eos-added": [
    { added: chatml, tokenizerConfig: { eos_token: "<|im_end|>" } },
    { eos: second, ends: [2, second] },
  ],
  "eos-list": [
    { added: { content: ["<|a|>", "<|b|>"], special: true }, generationConfig: { eos_token_id: [2, first, second] } },
    { ends: [2, first, second] },
  ],
};
const sources = [
  ...Object.keys(folders),
  poet,
  ...(present || process.env["CI"] ? [shared("weights/stories260K.gguf"), shared("weights/stories260K.bin")] : []),
];

const suite = installed ? describe : describe.skip;
suite(`llama.cpp reads text alike${installed ? "" : " (install with `npm run conformance:llama-cpp`)"}`, () => {
  const found = new Map<
    string,
    { expected: Answer; written: Answer; back: Answer; notes: string[]; theirs: Answer[] }
  >();

  /** From the source to GGUF, from there to a folder, and to GGUF again. */
  async function write(name: string, number: number): Promise<readonly Question[]> {
    const at = (suffix: string) => join(folder, `${number}-${suffix}`);
    const parts = folders[name]?.[0];
    if (parts !== undefined) await writeTextFolder(at("source"), parts);
    await using source = await openCheckpoint(parts === undefined ? name : at("source"));
    const texts = textsFor(source);
    const notes: string[] = [];
    await writeGguf(at("first.gguf"), source, { onNote: (note) => notes.push(note) });
    await using gguf = await openCheckpoint(at("first.gguf"));
    await writeSafetensors(at("back"), gguf);
    await using back = await openCheckpoint(at("back"));
    await writeGguf(at("again.gguf"), back);
    const [expected, written, returned] = [source, gguf, back].map((one) => answerOf(one, texts));
    found.set(name, { expected: expected!, written: written!, back: returned!, notes, theirs: [] });
    return ["first.gguf", "again.gguf"].map((suffix) => ({ model: at(suffix), texts }));
  }

  beforeAll(async () => {
    const questions: (readonly Question[])[] = [];
    for (const [number, name] of sources.entries()) questions.push(await write(name, number));
    const answers = await llamaCpp(questions.flat());
    for (const [number, name] of sources.entries()) {
      found.get(name)!.theirs.push(...answers.slice(2 * number, 2 * number + 2)); // two files each
    }
  }, 300_000);

  test.each(sources)("%s", (name) => {
    const { expected, written, back, notes, theirs } = found.get(name)!;
    expect(expected).toMatchObject(folders[name]?.[1] ?? {});
    expect(written).toEqual(expected);
    expect(back).toEqual(expected);
    expect(theirs).toHaveLength(2);
    const { plain, special, ...setup } = expected;
    for (const { plain: theirPlain, special: theirSpecial, ...theirSetup } of theirs) {
      expect(theirSetup).toEqual(setup);
      // Where llama.cpp cannot read text as the source does, writing has said so.
      if (notes.length === 0) expect([theirPlain, theirSpecial]).toEqual([plain, special]);
      else expect(notes).toEqual([expect.stringMatching(/llama\.cpp cuts some texts into other tokens/)]);
    }
  });
});
