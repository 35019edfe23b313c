// A conversation's next turn reads only what is new: in every chat format its prompt goes on where the last one ended, so that no position
// of that is computed again. Rows are counted where they are computed, in the backend's program.

import { reference } from "@polyllama/backend-reference";
import type { Program } from "@polyllama/core";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type ChatMessage, type ChatTemplate, chatTemplateNames, Llama } from "../src/index.ts";

let llama: Llama;
let rows = 0;
beforeAll(async () => {
  const backend = reference();
  const { compile } = backend;
  vi.spyOn(backend, "compile").mockImplementation(async (...args) => {
    const program: Program = await compile.apply(backend, args);
    const { run } = program;
    vi.spyOn(program, "run").mockImplementation((step, ...rest) => {
      rows += step.inputs["tokens"]!.length;
      return run.call(program, step, ...rest);
    });
    return program;
  });
  llama = await Llama.load(poet, { backend });
});
afterAll(() => llama.dispose());

const own = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>";
const formats: readonly (readonly [string, ChatTemplate])[] = [
  ...chatTemplateNames.map((name) => [name, name] as const),
  ["a template of its own", { jinja: own }],
];

test.each(formats)("%s: nothing of the former prompt is computed again", async (_, template) => {
  const messages: ChatMessage[] = [];
  let held: readonly number[] = [];
  for (const content of ["Hi", "And then?", "Go on."]) {
    messages.push({ role: "user", content });
    const { ids: prompt } = await llama.renderChat(messages, { template });
    expect(prompt.slice(0, held.length)).toEqual(held);
    rows = 0;
    const options = { template, maxTokens: 3, temperature: 0, ignoreEos: true };
    const { text, ids } = await llama.completeChat(messages, options);
    // One row for each token that is new, and for each that was generated but the last.
    expect(rows).toBeLessThanOrEqual(prompt.length - held.length + ids.length - 1);
    held = prompt;
    messages.push({ role: "assistant", content: text });
  }
});
