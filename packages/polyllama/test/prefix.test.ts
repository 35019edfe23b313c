// A conversation's next turn reads only what is new: in every chat format its prompt goes on where the last one ended,
// so that no position of that is computed again. Rows are counted where they are computed, in the device's program.

import { reference } from "@polyllama/backend-reference";
import { forwardDevice, forwardDeviceProgram } from "@polyllama/conformance";
import { isDeviceTensor } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ChatMessage, type ChatTemplate, chatTemplateNames, Llama } from "../src/index.ts";

let llama: Llama;
let rows = 0;
beforeAll(async () => {
  const device = reference();
  const backend = forwardDevice(device, {
    async compile(...given) {
      const program = await device.compile(...given);
      return forwardDeviceProgram(program, {
        submit(step, signal) {
          const { tokens } = step.inputs; // the graph's one input
          rows += isDeviceTensor(tokens!) ? tokens.shape[0] : tokens!.length;
          return program.submit(step, signal);
        },
      });
    },
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
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThanOrEqual(prompt.length - held.length + ids.length - 1);
    held = prompt;
    messages.push({ role: "assistant", content: text });
  }
});
