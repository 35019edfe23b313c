// Templates in their worker: what loops, grows, recurses or is too long is stopped with a typed error, and the next
// rendering works.

import { expect, test } from "vitest";
import { ChatTemplateError } from "../src/chat/error.ts";
import { renderJinja } from "../src/chat/renderer.ts";
import { serveRendering, type ThreadRequest } from "../src/chat/thread/serve.ts";

const render = (template: string, variables: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  renderJinja({ template, variables, now: 0 });

const stopped = /The chat template was stopped: .*Choose another format/;

test.each([
  ["nested ranges", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"],
  [
    "a text that doubles",
    "{% set ns = namespace(t='x') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
  ],
  [
    "a list that doubles",
    "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
  ],
  ["a text that is repeated", "{{ 'x' * 9999999999 }}"],
  ["a list that is repeated", "{{ [1] * 999999999 }}"],
  ["an empty list that is repeated", "{{ [] * 999999999 }}"],
  ["a long text in many lists, as text", "{{ ['x' * 99999] * 99999 }}"],
  ["a long text in many lists, as JSON", "{{ (['x' * 99999] * 99999) | tojson }}"],
  ["a wide indent", "{{ 'x' | indent(9999999999, true) }}"],
  ["a wide field", "{{ 'x'.rjust(9999999999) }}"],
  ["a long join", "{% set x = 'x' * 99999 %}{{ range(99999) | map('string') | join(x) }}"],
  ["replacing that grows", "{% set x = 'x' * 99999 %}{{ x | replace('x', x) }}"],
  [
    "nested JSON",
    "{% set ns = namespace(t=['x']) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t | tojson }}",
  ],
  [
    "nested lists as text",
    "{% set ns = namespace(t=['x']) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t }}",
  ],
  [
    "nested lists that are compared",
    "{% set ns = namespace(t=['x'], u=['x']) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% set ns.u = [ns.u, ns.u] %}{% endfor %}{{ ns.t == ns.u }}",
  ],
  ["a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
  [
    "a macro that calls itself twice",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
  ],
  ["brackets without end", `{{ ${"(".repeat(50_000)}1${")".repeat(50_000)} }}`],
  ["lists without end", `{{ ${"[".repeat(100_000)}`],
  ["200 MB of braces", "{".repeat(2e8)],
  ["a megabyte of spaces", `${" ".repeat(2 ** 20)}{% if true %}`],
  ["white space that is looked through again and again", `${"{% if true %} ".repeat(9000)}${" ".repeat(2 ** 17)}`],
])("%s: stopped or refused", async (_, template) => {
  await expect(render(template)).rejects.toMatchObject({ code: "ERR_CHAT", name: "ChatTemplateError" });
  expect(await render("{{ x }}", { x: "still here" })).toBe("still here");
});

test("the error says that it was stopped, and the way out", async () => {
  await expect(
    render("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
  ).rejects.toThrow(stopped);
  await expect(render("{".repeat(2 ** 19))).rejects.toThrow(/has 524288 characters, and at most 262144 are read/);
});

test("what a template raises, gets wrong, or asks of Python", async () => {
  await expect(render("{{ raise_exception('No system message, please.') }}")).rejects.toThrow(
    /^The chat template refuses this conversation: No system message, please\.$/,
  );
  await expect(render("{{ nothing.more }}")).rejects.toThrow(
    /The chat template fails: 'nothing' is undefined\. Choose/,
  );
  await expect(render("{% if x %}")).rejects.toThrow(/cannot be read: it ends within a block/);
  await expect(render("{{ x | wordwrap }}", { x: "a" })).rejects.toThrow(
    /cannot be rendered exactly: the filter wordwrap/,
  );
  await expect(render("{% for x in [3] if 1 < x in [3] %}{{ x }}{% endfor %}")).rejects.toThrow(
    /a chain of comparisons/,
  );
  await expect(render("{% include 'x' %}")).rejects.toThrow(/cannot be read: Unknown statement type: include/);
});

test("whose fault it is stands in the error, and a bug of the renderer is none of the template's", async () => {
  const kindOf = async (template: string): Promise<unknown> => {
    const error: unknown = await render(template).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ChatTemplateError);
    return error instanceof ChatTemplateError && error.kind;
  };
  expect(await kindOf("{{ raise_exception('no') }}")).toBe("raised");
  expect(await kindOf("{{ nothing.more }}")).toBe("failed");
  expect(await kindOf("{{ 'a' | wordwrap }}")).toBe("unsupported");
  expect(await kindOf("{{ 'x' * 9999999999 }}")).toBe("limit");
  // The renderer sends variables as JSON: that they are none is a fault of its own.
  const wrong = renderJinja({ template: "a", variables: undefined as never, now: 0 });
  await expect(wrong).rejects.toMatchObject({
    code: "ERR_CHAT",
    kind: "bug",
    message: expect.stringMatching(/^Rendering .* by a bug of polyllama, not of the template.*SyntaxError: /),
    cause: { stack: expect.stringContaining("serve.ts") },
  });
  expect(await render("b")).toBe("b");
});

test.each([
  ["Maximum call stack size exceeded", "limit"],
  ["Invalid string length", "limit"],
  ["too much recursion", "limit"],
  ["Invalid array length", "bug"],
  ["x is not a function", "bug"],
])("in the worker, %j is %s", (message, kind) => {
  const answers: unknown[] = [];
  let listener = (_: ThreadRequest): void => {};
  serveRendering({ postMessage: (answer) => answers.push(answer), onRequest: (given) => (listener = given) });
  const variables = {
    toString() {
      throw new RangeError(message);
    },
  };
  listener({ template: "a", variables: variables as never, now: 0 }); // in place of an error within the engine
  expect(answers).toMatchObject([{ is: "started" }, { is: "failure", kind }]);
});

test("renderings at once take turns, and each has its own text", async () => {
  const texts = await Promise.all(Array.from({ length: 20 }, (_, x) => render("{{ x }}", { x })));
  expect(texts).toEqual(Array.from({ length: 20 }, (_, x) => String(x)));
});

test("one that is aborted rejects with the signal's reason", async () => {
  const reason = new Error("enough");
  await expect(renderJinja({ template: "a", variables: {}, now: 0 }, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const rendering = renderJinja({ template: "a", variables: {}, now: 0 }, controller.signal);
  controller.abort(reason);
  await expect(rendering).rejects.toBe(reason);
  expect(await render("b")).toBe("b");
});
