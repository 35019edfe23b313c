// End tokens that files name: those that the vocabulary has, and a notice of the others.

import { expect, test } from "vitest";
import { textSetupFromGguf, textSetupFromHuggingFace } from "../src/index.ts";
import { tinyTokenizer } from "./tiny-tokenizer.ts";

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
