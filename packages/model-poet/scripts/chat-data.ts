// Makes the poet's dialogues of its corpora's training documents: those of fine-tuning, those of Ghost Attention, the
// same ones without it, and the requests by which the two are compared. Those apart are of validation documents.
//
//   npm run poet:chat-data -- [CORPORA] [--out FOLDER] [--dialogues N] [--ghost N] [--seed N]
//
// The folder must have the tokenizer of `npm run poet:data`. Written are chat.jsonl and ghost.jsonl, each with
// .validation.jsonl beside it; plain.jsonl; and ghost.requests.jsonl.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type ChatMessage, type Tokenizer, tokenizerFromSentencePiece } from "@polyllama/core";
import { encodeDialogue } from "@polyllama/training";
import { createChatCorpus } from "./chat/corpus.ts";
import { chatDialogue } from "./chat/dialogues.ts";
import { ghostDialogue, heldDialogue } from "./chat/ghost.ts";
import { withoutHeldOut } from "./chat/held-out.ts";
import { judgedInstructions } from "./chat/judge.ts";
import { createRandom, type Random } from "./chat/random.ts";
import { readSources } from "./data/sources.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string", default: join(root, ".poet") },
    dialogues: { type: "string", default: "20000" },
    ghost: { type: "string", default: "6000" },
    seed: { type: "string", default: "1" },
  },
});
const [corpora = join(root, "../shared/data/corpora")] = positionals;
const { out } = values;
const length = 2048;
const apart = { dialogues: 200, ghost: 100, requests: 50, turns: 20 };

const started = performance.now();
const say = (text: string): void => console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${text}`);
const path = join(out, "tokenizer.model");
const tokenizer: Tokenizer = tokenizerFromSentencePiece(await readFile(path), path);
const sources = await readSources(corpora);
const parts = withoutHeldOut(
  sources,
  JSON.parse(await readFile(new URL("../data/held-out.json", import.meta.url), "utf8")),
);
const training = createChatCorpus(parts.training, 200);
const validation = createChatCorpus(parts.validation, 1);
for (const [form, { all, byAuthor, bySubject }] of Object.entries(training.poems))
  say(`poems of form ${form}: ${all.length}, ${byAuthor.size} authors, ${bySubject.size} subjects`);
for (const [language, { all, continued, bySubject }] of Object.entries(training.prose))
  say(`passages in ${language}: ${all.length}, ${continued.length} continued, ${bySubject.size} subjects`);

/** Dialogues of one kind, each from a random source of its own, and what they have to learn from. */
const summary: Record<string, unknown> = {};
const write = async (name: string, dialogues: readonly (readonly ChatMessage[])[], answers: "all" | "last") => {
  await writeFile(
    join(out, `${name}.jsonl`),
    dialogues.map((messages) => `${JSON.stringify({ messages })}\n`).join(""),
  );
  const examples = dialogues.map((messages) => encodeDialogue(tokenizer, { messages, answers }));
  const longest = Math.max(...examples.map(({ ids }) => ids.length));
  const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
  const trained = examples.reduce((sum, { counts }) => counts.reduce((all, count) => all + count, sum), 0);
  const turns = dialogues.reduce((sum, messages) => sum + messages.filter(({ role }) => role === "user").length, 0);
  summary[name] = { dialogues: dialogues.length, turns, tokens, trained, longest };
  say(`${name}: ${JSON.stringify(summary[name])}`);
  return trained;
};
const seed = Number(values.seed);
const many = <T>(count: number, kind: number, make: (random: Random) => T): readonly T[] =>
  Array.from({ length: count }, (_, index) => make(createRandom(seed * 1e6 + kind * 1e5 + index)));

await write(
  "chat",
  many(Number(values.dialogues), 0, (random) => chatDialogue(training, random)),
  "all",
);
await write(
  "chat.validation",
  many(apart.dialogues, 1, (random) => chatDialogue(validation, random)),
  "all",
);
const limits = { tokenizer, length };
const pairs = many(Number(values.ghost), 2, (random) => ghostDialogue(training, random, limits));
const withGhost = await write(
  "ghost",
  pairs.map(({ ghost }) => ghost),
  "last",
);
const without = await write(
  "plain",
  pairs.map(({ plain }) => plain),
  "last",
);
if (withGhost !== without)
  throw new RangeError(`${withGhost} tokens are trained with Ghost Attention, ${without} without.`);
const held = many(apart.ghost, 3, (random) => ghostDialogue(validation, random, limits));
await write(
  "ghost.validation",
  held.map(({ ghost }) => ghost),
  "last",
);
const requests = judgedInstructions.flatMap((name, kind) =>
  many(apart.requests, 4 + kind, (random) => heldDialogue(name, validation, random, apart.turns)),
);
await writeFile(join(out, "ghost.requests.jsonl"), requests.map((each) => `${JSON.stringify(each)}\n`).join(""));
await writeFile(join(out, "chat-summary.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
