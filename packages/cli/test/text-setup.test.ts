import { poet } from "@polyllama/model-poet";
import { openCheckpoint } from "polyllama";
import { expect, test } from "vitest";
import { describeText, type TextFacts, textFacts } from "../src/text-setup.ts";

const tiny = "synthetic://llama-2-7b?dim=64&heads=4&kv_heads=2&hidden=96&layers=2&vocab=320&context=64";

async function facts(change: object) {
  const checkpoint = await openCheckpoint(tiny);
  const { tokenizer, text } = checkpoint;
  return textFacts({ ...checkpoint, tokenizer, text: { ...text, ...change } })!;
}

test("what a checkpoint says about text is told with who says so", async () => {
  const jinja = "{% for m in messages %}\nline two\nline three\nline four\nline five{% endfor %}";
  const found = await facts({
    addBos: false,
    ends: [
      { id: 2, from: ["tokenizer_config.json: eos_token", "config.json: eos_token_id"] },
      { id: 300, from: ["generation_config.json: eos_token_id"] },
    ],
    chatTemplate: { jinja, from: "chat_template.jinja" },
    sampling: { temperature: 0.6, topP: 0.9 },
  });
  expect(found).toMatchObject({ tokens: 320, bos: 1, eos: 2, addBos: false, addEos: false });
  expect(found.ends.map(({ id }) => id)).toEqual([2, 300]);
  const lines = describeText(found).map((row) => row.join(": "));
  expect(lines).toContain("tokenizer: 320 tokens");
  expect(lines).toContain("BOS: 1, not put in front of texts");
  expect(lines).toContain('ends at: 2 "</s>" (tokenizer_config.json: eos_token; config.json: eos_token_id)');
  expect(lines[lines.indexOf(lines.find((line) => line.startsWith("ends at"))!) + 1]).toMatch(
    /^: 300 ".*" \(generation_config\.json: eos_token_id\)$/,
  );
  const at = lines.indexOf(`chat template: ${jinja.length} characters, chat_template.jinja`);
  expect(lines.slice(at + 1, at + 5)).toEqual([
    ": {% for m in messages %}",
    ": line two",
    ": line three",
    ": ... 2 more lines (--json prints all)",
  ]);
  expect(lines).toContain("recommended: temperature 0.6, topP 0.9 (not applied unless given)");
});

test.each([
  [true, false, "BOS: 1, in front of every text", "EOS: 2"],
  [false, true, "BOS: 1, not put in front of texts", "EOS: 2, behind every text"],
])("with addBos %s and addEos %s", async (addBos, addEos, bos, eos) => {
  const lines = describeText(await facts({ addBos, addEos })).map((row) => row.join(": "));
  expect(lines.filter((line) => /^(BOS|EOS)/.test(line))).toEqual([bos, eos]);
});

test("a checkpoint that says little is told so", async () => {
  const lines = describeText(await facts({ ends: [] })).map((row) => row.join(": "));
  expect(lines).toContain("ends at: no token");
  expect(lines).toContain("chat template: none");
  expect(describeText(undefined)).toEqual([["tokenizer", "none; give one with --tokenizer"]]);
});

test("the known format that was recognised is named, another is the template's own, and none is asked for", async () => {
  const poetFacts = textFacts(await openCheckpoint(poet))!;
  expect(poetFacts.chatFormat).toEqual({ name: "llama-2", from: "chat_template.jinja" });
  const lineOf = (found: TextFacts): readonly string[][] =>
    describeText(found).filter(([name]) => name === "chat format");
  expect(lineOf(poetFacts)).toEqual([["chat format", "llama-2 (chat_template.jinja)"]]);
  const own = await facts({ chatTemplate: { jinja: "{{ messages }}", from: "tokenizer_config.json" } });
  expect(own.chatFormat).toEqual({ name: "jinja", from: "tokenizer_config.json" });
  expect(lineOf(own)).toEqual([["chat format", "of the template's own"]]);
  const none = await facts({ chatTemplate: undefined });
  expect(none.chatFormat).toBeNull();
  expect(lineOf(none)).toEqual([["chat format", "not known; chat asks for --template"]]);
});
