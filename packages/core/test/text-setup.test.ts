// End tokens that files name: those that the vocabulary has, and a notice of the others.

import { tinyTokenizer } from "@polyllama/test-support/tiny-tokenizer";
import { expect, test } from "vitest";
import { textSetupFromGguf, textSetupFromHuggingFace } from "../src/index.ts";

test("an end token just behind the vocabulary is none, and said", () => {
  const tokenizer = tinyTokenizer();
  const last = tokenizer.vocabSize - 1;
  for (const [id, isToken] of [
    [last, true],
    [last + 1, false],
  ] as const) {
    const notices: string[] = [];
    const note = (remark: string) => notices.push(remark);
    const gguf = textSetupFromGguf(new Map([["tokenizer.ggml.eot_token_id", id]]), tokenizer, note);
    const huggingFace = textSetupFromHuggingFace({ config: { eos_token_id: [2, id] } }, tokenizer, note);
    for (const { ends } of [gguf, huggingFace]) expect(ends.map((end) => end.id)).toEqual(isToken ? [2, id] : [2]);
    const places = ["tokenizer.ggml.eot_token_id", "config.json: eos_token_id"];
    expect(notices).toEqual(
      isToken ? [] : places.map((place) => `${place} is ${id}, which is no token; texts do not end there`),
    );
  }
});

test("greedy is offered where a model is not to be sampled from; the template without a name is the default", () => {
  const tokenizer = tinyTokenizer();
  const none = () => expect.unreachable("a notice");
  const generation = { do_sample: false, temperature: 0.6, top_p: 0.9 };
  expect(textSetupFromHuggingFace({ config: {}, generationConfig: generation }, tokenizer, none).sampling).toEqual({
    temperature: 0,
  });
  const sampled = textSetupFromHuggingFace(
    { config: {}, generationConfig: { ...generation, do_sample: true } },
    tokenizer,
    none,
  );
  expect(sampled.sampling).toEqual({ temperature: 0.6, topP: 0.9 });
  const key = "tokenizer.chat_template";
  const { chatTemplate, namedTemplates } = textSetupFromGguf(
    new Map([
      [key, "D"],
      [`${key}.rag`, "R"],
    ]),
    tokenizer,
    none,
  );
  expect([chatTemplate?.jinja, namedTemplates.map(({ name, jinja }) => [name, jinja])]).toEqual(["D", [["rag", "R"]]]);
});
