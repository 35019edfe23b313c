// Faults in the library: generation and ends of text, sequences and their prefixes, forks, conversations that are
// shortened, end tokens, chat; those in the scheduler stand apart.

import type { Mutant } from "./mutant.ts";
import { schedulerFaults } from "./scheduler-mutants.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "sampled-cache-length",
    file: "sequence.ts",
    find: "const length = taken === 0 ? before : prompt.length + taken - 1;",
    replace: "const length = taken === 0 ? before : prompt.length + taken;",
    what: "after device sampling a sequence counts one position too many",
  },
  {
    id: "device-continues-old-prompt",
    file: "sequence.ts",
    find: "this.#rewind(Math.min(commonPrefix(this.#held, tokens), tokens.length - 1));",
    replace:
      'const same = where === "choose()" ? this.#held.length : commonPrefix(this.#held, tokens);\n    this.#rewind(Math.min(same, tokens.length - 1));',
    what: "where the device samples, another prompt continues the old one",
  },
  {
    id: "prompt-repeats-chunk",
    file: "sequence.ts",
    find: "const rows = tokens.slice(this.#held.length, this.#held.length + chunk);",
    replace: "const rows = tokens.slice(0, chunk);",
    what: "every full chunk of a prompt repeats the first",
  },
  {
    id: "sample-forgets-too-much",
    file: "sequence.ts",
    find: "const length = taken === 0 ? before : prompt.length + taken - 1;",
    replace: "const length = taken === 0 ? before : prompt.length + taken - 2;",
    what: "where the device samples, a sequence forgets one token more than the last that was taken",
  },
  {
    id: "fork-shares-tokens",
    file: "sequence.ts",
    find: "this.#busy || this.#forks > 0",
    replace: "this.#busy",
    what: "a fork has the tokens of its origin as they are when it is there, whatever became of them meanwhile",
  },
  {
    id: "prefix-one-long",
    file: "sequence-model.ts",
    find: "while (length < a.length && length < b.length && a[length] === b[length]) length++;\n  return length;",
    replace:
      "while (length < a.length && length < b.length && a[length] === b[length]) length++;\n  return Math.min(a.length, length > 8 ? length + 1 : length);",
    what: "behind a long common prefix one token of the old text is kept",
  },
  {
    id: "shift-loses-system",
    file: "conversation.ts",
    find: "kept = [...system, ...messages.slice(start)];",
    replace: "kept = [...messages.slice(start)];",
    what: "a conversation that is shortened loses its system message",
  },
  {
    id: "shift-leaves-no-room",
    file: "conversation.ts",
    find: "contextLength - Math.max(room, Math.floor(contextLength / 2))",
    replace: "contextLength - Math.min(room, Math.floor(contextLength / 2))",
    what: "a conversation that is shortened leaves less than half of the context free",
  },
  {
    id: "ends-overrule-option",
    file: "llama.ts",
    find: "{ ends, ...given }",
    replace: "{ ...given, ends }",
    what: "the option `ends` is overruled by the checkpoint",
  },
  {
    id: "texts-share-sequence",
    file: "llama.ts",
    find: "this.#ownInUse = true;",
    replace: "",
    what: "two texts at the same time are generated in one sequence",
  },
  {
    id: "format-space-shown",
    file: "stream.ts",
    find: '!started && piece.text.startsWith(" ")',
    replace: "false",
    what: "a chat answer begins with the space of its format",
  },
  {
    id: "format-space-twice",
    file: "stream.ts",
    find: 'started ||= piece.text !== "";',
    replace: 'started ||= text !== "";',
    what: "two pieces of an answer that begin with spaces both lose one",
  },
  {
    id: "dynamic-scaling-declared",
    file: "load.ts",
    find: "const config = configForContext(checkpoint.config, contextLength);",
    replace: "const config = configForContext(checkpoint.config, checkpoint.config.contextLength);",
    what: "dynamic scaling takes its base for the declared context",
  },
  {
    id: "template-twice-bos",
    file: "chat/prompt.ts",
    find: " || ids[0] === bos) return",
    replace: "  ) return",
    what: "a template that writes BOS itself gets another in front",
  },
  {
    id: "abort-loses-id",
    file: "completion.ts",
    find: "throw new AbortError(error, { text, ids,",
    replace: "throw new AbortError(error, { text, ids: ids.slice(0, -1),",
    what: "an aborted completion lacks its last token",
  },
  {
    id: "held-text-lost",
    file: "generation/generate.ts",
    find: ": filter.end();",
    replace: ': { text: "", stopped: false };',
    what: "text that was held back for a stop sequence is lost at the end",
  },
  {
    id: "stop-first-alone",
    file: "generation/stop.ts",
    find: "...sequences.map((stop) => overlap(held, stop))",
    replace: "...sequences.slice(0, 1).map((stop) => overlap(held, stop))",
    what: "of several stop sequences only the first is found across tokens",
  },
  {
    id: "stop-at-end-lost",
    file: "generation/stop.ts",
    find: "return take(at, at < held.length);",
    replace: "return take(held.length, false);",
    what: "a stop sequence that is complete at the end of the text is shown",
  },
  {
    id: "context-one-short",
    file: "generation/generate.ts",
    find: "const full = prompt.length + count > source.capacity;",
    replace: "const full = prompt.length + count >= source.capacity;",
    what: "a text ends one token before the context is full",
  },
  {
    id: "end-tokens-ignored-stop",
    file: "generation/generate.ts",
    find: "ends: new Set(ignoreEos ? [] : ends",
    replace: "ends: new Set(ignoreEos ? ends.slice(1) : ends",
    what: "ignoreEos ignores the first end token alone",
  },
];

export const polyllamaMutants: readonly Mutant[] = [...faults, ...schedulerFaults].map((fault) => ({
  ...fault,
  package: "polyllama",
}));
