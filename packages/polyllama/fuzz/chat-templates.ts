// Chat templates that were spoiled, rendered for conversations that were, too: tokens moved, doubled and exchanged, and
// programs that loop, grow and call themselves in their place. An input is the JSON of a template and its variables.

import { PolyllamaError } from "@polyllama/core";
import { mutatedJson } from "@polyllama/test-support/fuzz/mutate";
import { flatten, type Pieces } from "@polyllama/test-support/fuzz/pieces";
import type { Random } from "@polyllama/test-support/fuzz/random";
import type { Target } from "@polyllama/test-support/fuzz/target";
import { TemplateError } from "../src/chat/jinja/budget.ts";
import { renderTemplate } from "../src/chat/jinja/render.ts";
import type { ThreadRequest } from "../src/chat/thread/serve.ts";
import { chatTemplates } from "../test/chat-templates.ts";
import { conversation } from "../test/conversations.ts";
import { differences } from "../test/jinja-differences.ts";

const templates = Object.values(chatTemplates);
const tokensOf = (template: string): string[] => template.match(/\{[{%#][-+]?|[-+]?[}%#]\}|\w+|\s+|./gsu) ?? [];
const taken = [...templates, ...differences].map(tokensOf);
/** Variables that a template may be given beside a conversation. */
const names = { bos_token: "<s>", eos_token: "</s>" };

export const chatTemplateTarget: Target = {
  name: "chat template",
  sound: [pack(chatTemplates["chatml"]!, JSON.stringify({ ...names, ...conversation(1) }))],
  make(random) {
    const programs = Array.from({ length: random.below(4) }, () => growing(random));
    const tokens = random.chance(0.5) ? [...random.pick(taken)] : tokensOf(programs.join(""));
    for (let count = programs.length > 0 ? 0 : 1 + random.below(4); count > 0; count--) mutate(tokens, random);
    if (random.chance(0.2)) mutate(tokens, random);
    const template = random.chance(0.5) ? [...programs, ...tokens] : [...tokens, ...programs];
    const variables = JSON.stringify({ ...names, ...conversation(random.below(1000)) });
    const spoiled = random.chance(0.4) ? mutatedJson(variables, random) : variables;
    return pack(template.join(""), isObject(spoiled) ? spoiled : variables, random.chance(0.3));
  },
  async run(input) {
    const request = JSON.parse(new TextDecoder().decode(flatten(input))) as ThreadRequest; // as `pack` wrote it
    try {
      renderTemplate({ ...request, variables: JSON.parse(request.variables) });
    } catch (error) {
      // What the renderer's worker reports, a full stack included; any other error is the engine's own.
      const isLimit = error instanceof RangeError && error.message.includes("call stack");
      if (error instanceof TemplateError || isLimit) throw new PolyllamaError("ERR_CHAT", error.message);
      throw error;
    }
  },
};

function pack(template: string, variables: string, marked = false): Pieces {
  const request: ThreadRequest = { template, variables, ...(marked && { mark: "\ufdd0" }), now: Date.UTC(2024, 6, 26) };
  return [new TextEncoder().encode(JSON.stringify(request))];
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function mutate(tokens: string[], random: Random): void {
  const at = random.below(Math.max(1, tokens.length));
  const length = 1 + random.below(random.chance(0.7) ? 3 : 40);
  switch (random.below(6)) {
    case 0:
      tokens.splice(at, length); // a tag stays open, an argument is gone
      break;
    case 1:
      tokens.splice(at, 0, ...tokens.slice(at, at + length));
      break;
    case 2:
      tokens.splice(random.below(tokens.length), 0, ...tokens.splice(at, length));
      break;
    case 3: {
      const other = random.pick(taken);
      const from = random.below(other.length);
      tokens.splice(at, random.below(2) * length, ...other.slice(from, from + length));
      break;
    }
    case 4:
      tokens.splice(at, 1, random.pick(odd));
      break;
    default: {
      const depth = random.pick([3, 50, 2000]);
      const [open, close] = random.pick(brackets);
      tokens.splice(at, 0, open.repeat(depth), random.chance(0.7) ? close.repeat(depth) : "");
    }
  }
}

const brackets = [
  ["(", ")"],
  ["[", "]"],
  ["{'a': ", "}"],
  ["not ", ""],
  ["-", ""],
  ["{% if 1 %}", "{% endif %}"],
  ["{% for x in [1, 2] %}", "{% endfor %}"],
  ["{% filter upper %}", "{% endfilter %}"],
] as const;

const odd = [
  ...["none", "-1", "0", "1e308", "9007199254740993", "99999999999", "''", "[]", "{}", "loop", "caller", "varargs"],
  ...[
    "__class__",
    "constructor",
    "__proto__",
    "is",
    "in",
    "|",
    ".",
    "~",
    "**",
    "%",
    "//",
    "*",
    ":",
    ",",
    "=",
    "==",
    "\\",
  ],
  ...["{%", "%}", "{{", "}}", "{#", "#}", "-%}", "\0", "\ud800", "{% raw %}", "{% endfor %}", "{% break %}"],
];

const numbers = ["0", "1", "3", "60", "1000", "100000", "4000000", "1e9", "10**18", "-5"] as const;

const filters = [
  ...[
    "abs",
    "attr('x')",
    "batch(3)",
    "batch(0)",
    "capitalize",
    "center(N)",
    "default(N)",
    "dictsort",
    "escape",
    "first",
  ],
  ...[
    "float",
    "format(N, N)",
    "groupby('role')",
    "indent(N)",
    "indent(N, true)",
    "int",
    "items",
    "join(S)",
    "last",
    "length",
  ],
  ...["list", "lower", "map('upper')", "map('nothing')", "map(attribute=N)", "max", "min", "reject", "replace('a', S)"],
  ...[
    "replace('', S)",
    "reverse",
    "round(N)",
    "select('eq', N)",
    "selectattr('role')",
    "slice(N)",
    "sort",
    "string",
    "sum",
  ],
  ...[
    "title",
    "tojson",
    "tojson(indent=N)",
    "tojson(N)",
    "trim",
    "truncate(N)",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
  ],
  ...["wordwrap(N)", "xmlattr", "filesizeformat", "striptags"],
];

/** A program that may take long, make much, or go deep. */
function growing(random: Random): string {
  const n = (): string => random.pick(numbers);
  const text = (): string =>
    random.pick([
      "'ab'",
      "'a' * N",
      "s",
      "messages[0].content",
      "messages",
      "'%Nd' % 1",
      "[1, 'a'] * N",
      "[] * N",
      "[s] * N",
      "range(N)",
      "ns",
    ]);
  const body = random.pick([
    "{% for a in range(N) %}{% for b in range(N) %}{% for c in range(N) %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
    "{% set ns = namespace(s='ab') %}{% for i in range(N) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s | length }}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(N) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s=[]) %}{% for i in range(N) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
    "{% set ns = namespace(s={}) %}{% for i in range(N) %}{% set ns.s = {'a': ns.s, 'b': ns.s} %}{% endfor %}{{ ns.s == ns.s }}{{ ns.s }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(N) %}{% set ns.l = ns.l + [S] %}{% endfor %}{{ ns.l | join(S) | length }}",
    "{% set ns = namespace(l=[]) %}{% for i in range(N) %}{% set ns.l = ns.l + [S | upper] %}{% endfor %}{{ ns.l | length }}",
    "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
    "{% macro m(n, s) %}{% if n > 0 %}{{ m(n - 1, s + s) }}{{ m(n - 1, s) }}{% endif %}{{ s }}{% endmacro %}{{ m(N, 'a') }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{% call m() %}{% for i in range(N) %}{{ S }}{% endfor %}{% endcall %}{% endcall %}",
    "{% set s = S %}{{ (s | string) * N }}{{ [s] * N }}",
    "{% set s %}{% for i in range(N) %}{{ S }}{% endfor %}{% endset %}{{ s }}{{ s.split('a') | length }}{{ s[::-1] }}",
    "{% for m in messages %}{{ S FILTER FILTER FILTER }}{% endfor %}",
    "{{ S FILTER FILTER }}",
    "{{ S FILTER }}",
    "{{ 'a'.join(range(N) | map('string')) }}{{ ('a' * N).split('') }}{{ ('a' * N).replace('a', 'a' * N) }}",
    "{{ ('a' * N).center(N) }}{{ ('a' * N).splitlines() }}{{ ('ab' * N).count('a') }}{{ 'x'.zfill(N) }}{{ '{:N}'.format(1) }}",
    "{{ '%*d' % (N, 1) }}{{ '%.Nf' % 1.5 }}{{ strftime_now('%Y' * N) }}{{ 2 ** N }}{{ N ** N ** N }}",
    "{{ lipsum(N) }}{{ cycler('a', S).next() }}{{ joiner(S)() }}{{ dict(a=S, b=range(N)) }}",
    "{% for k, v in S FILTER recursive %}{{ loop(v) }}{% endfor %}",
  ]);
  let program: string = body;
  for (let round = 0; round < 2; round++) {
    program = program
      .replace(/ FILTER/g, () => ` | ${random.pick(filters)}`)
      .replace(/\bS\b/g, text)
      .replace(/N/g, n);
  }
  return program;
}
