// Faults in the command line: options that do not arrive where they should, conversations, exit codes.

import type { Mutant } from "./mutant.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "penalties-swapped",
    file: "options.ts",
    find: "...(presencePenalty !== undefined && { presencePenalty }),\n    ...(frequencyPenalty !== undefined && { frequencyPenalty }),",
    replace:
      "...(presencePenalty !== undefined && { frequencyPenalty: presencePenalty }),\n    ...(frequencyPenalty !== undefined && { presencePenalty: frequencyPenalty }),",
    what: "--presence-penalty and --frequency-penalty are swapped",
  },
  {
    id: "min-p-as-top-p",
    file: "options.ts",
    find: "...(minP !== undefined && { minP })",
    replace: "...(minP !== undefined && { topP: minP })",
    what: "--min-p arrives as top-p",
  },
  {
    id: "no-cache-ignored",
    file: "backends.ts",
    find: "const folder = cache ? cacheFolder : false;",
    replace: "const folder = cacheFolder;",
    what: "--no-cache is accepted and ignored",
  },
  {
    id: "threads-ignored",
    file: "backends.ts",
    find: ".cpu({\n        ...(threads !== undefined && { threads }),",
    replace: ".cpu({",
    what: "--threads is accepted and ignored",
  },
  {
    id: "stop-last-alone",
    file: "values.ts",
    find: "return [...earlier, text];",
    replace: "return [text];",
    what: "of several --stop only the last counts",
  },
  {
    id: "bias-forbids-nothing",
    file: "values.ts",
    find: "? -Infinity : Number(value)",
    replace: "? 0 : Number(value)",
    what: "--logit-bias ID=-inf changes nothing",
  },
  {
    id: "context-ignored",
    file: "load.ts",
    find: "...(context !== undefined && { contextLength: context }),",
    replace: "",
    what: "--context is accepted and ignored",
  },
  {
    id: "ignore-eos-lost",
    file: "options.ts",
    find: "...(ignoreEos !== undefined && { ignoreEos }),",
    replace: "",
    what: "--ignore-eos is accepted and ignored",
  },
  {
    id: "fit-vocabulary-lost",
    file: "load.ts",
    find: "\n      ...(fitVocabulary && { fitVocabulary }),",
    replace: "",
    what: "--fit-vocabulary is accepted and ignored",
  },
  {
    id: "undo-half-turn",
    file: "chat/conversation.ts",
    find: "return { ...state, turns: turns.slice(0, -2) };",
    replace: "return { ...state, turns: turns.slice(0, -1) };",
    what: "/undo forgets the answer and keeps the question",
  },
  {
    id: "shifted-turns-return",
    file: "chat/conversation.ts",
    find: "[...messages.slice(beginning.length), {",
    replace: '[...turns, { role: "user", content }, {',
    what: "turns that left a full context come back with the next message",
  },
  {
    id: "fit-without-scratch",
    file: "fit.ts",
    find: "weights + cache + scratch <= memory",
    replace: "weights + cache <= memory",
    what: "a model is said to fit although its scratch memory does not",
  },
  {
    id: "chat-seed-lost",
    file: "chat/turn.ts",
    find: "...options,\n      signal,",
    replace: "...options,\n      seed: 0,\n      signal,",
    what: "chat ignores --seed",
  },
];

export const cliMutants: readonly Mutant[] = faults.map((fault) => ({ ...fault, package: "cli" }));
