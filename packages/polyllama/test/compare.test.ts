import { openCheckpoint } from "@polyllama/checkpoints";
import { expect, test } from "vitest";
import { type Checkpoint, compareCheckpoints } from "../src/index.ts";

const tiny = "synthetic://llama-2-7b?dim=32&heads=2&hidden=32&layers=1&vocab=320&context=64";
const base = await openCheckpoint(tiny);
const having = (jinja: string | undefined, tools?: string): Checkpoint => ({
  ...base,
  text: {
    ...base.text,
    chatTemplate: jinja === undefined ? undefined : { jinja, from: "test" },
    namedTemplates: tools === undefined ? [] : [{ name: "tool_use", jinja: tools, from: "test" }],
  },
});
const plain = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
const spaced = "{{- bos_token -}}\n{%- for m in messages -%}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}";

test("templates that differ in text alone are told apart from those that render otherwise", async () => {
  const alike = await compareCheckpoints(having(plain, plain), having(spaced, spaced));
  expect(alike.text).toEqual([
    { field: "chatTemplate", values: [plain, spaced], rendersAlike: true },
    { field: 'chatTemplate "tool_use"', values: [plain, spaced], rendersAlike: true },
  ]);
  expect(alike.agrees).toBe(true);
  const { text, agrees } = await compareCheckpoints(having(plain, plain), having(spaced, undefined));
  expect([text.map(({ rendersAlike }) => rendersAlike), agrees]).toEqual([[true, undefined], false]);
});

test.each([
  ["system messages", "{% if m.role != 'system' %}", "{% endif %}"],
  ["a second turn", "{% if loop.index < 4 %}", "{% endif %}"],
  ["answers", "{% if m.role != 'assistant' %}", "{% endif %}"],
  ["white space", "", "{{ ' ' if m.content != m.content | trim }}"],
  ["tools", "", "{{ tools }}"],
])("a difference in %s is seen", async (_, before, after) => {
  const other = plain.replace("%}{{ m.role", `%}${before}{{ m.role`).replace("{% endfor", `${after}{% endfor`);
  const { text, agrees } = await compareCheckpoints(having(plain), having(other));
  expect(text).toEqual([{ field: "chatTemplate", values: [plain, other], rendersAlike: false }]);
  expect(agrees).toBe(false);
});

test("templates that render nothing, or not within limits, are not alike", async () => {
  const endless = `${plain}{% if messages | length > 4 %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}`;
  expect((await compareCheckpoints(having(endless), having(`${endless}{# #}`))).agrees).toBe(false);
  const { agrees } = await compareCheckpoints(having("{{ raise_exception('a') }}"), having("{% for"));
  expect(agrees).toBe(false);
});

test("an abort ends it", async () => {
  const reason = new Error("enough");
  const comparing = compareCheckpoints(having(plain), having(spaced), {
    signal: AbortSignal.abort(reason),
  });
  await expect(comparing).rejects.toBe(reason);
});
