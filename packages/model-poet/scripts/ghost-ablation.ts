// What Ghost Attention does to the poet: two models, fine-tuned on the same answers with and without it, hold the same
// dialogues of twenty turns under an instruction of the first one, and a program judges whether their answers obey it.
//
//   npm run poet:ghost -- --with MODEL --without MODEL [--data FOLDER] [--dialogues N] [--json FILE]
//
// The folder is that of `npm run poet:chat-data`.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cpu } from "@polyllama/backend-cpu";
import { Llama } from "polyllama";
import { judgedInstructions } from "./chat/judge.ts";
import { type Answerer, type JudgedDialogue, type Played, play } from "./ghost/play.ts";
import { judgedTurns, type Row, shareAt, tableLines } from "./ghost/table.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { values } = parseArgs({
  options: {
    with: { type: "string" },
    without: { type: "string" },
    data: { type: "string", default: join(root, ".poet") },
    dialogues: { type: "string", default: "50" },
    "answer-tokens": { type: "string", default: "64" },
    temperature: { type: "string", default: "0.7" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
  },
});
if (values.with === undefined || values.without === undefined) {
  console.error("usage: npm run poet:ghost -- --with MODEL --without MODEL [--data FOLDER] [--json FILE]");
  process.exit(2);
}

const lines = (await readFile(join(values.data, "ghost.requests.jsonl"), "utf8")).trimEnd().split("\n");
const all: readonly JudgedDialogue[] = lines.map((line) => JSON.parse(line)); // which poet:chat-data wrote
const dialoguesOf = (name: JudgedDialogue["name"]): readonly JudgedDialogue[] =>
  all.filter((dialogue) => dialogue.name === name).slice(0, Number(values.dialogues));

/** Answers with what is left of the context; each dialogue has a seed of its own, the same for both models. */
function answererOf(llama: Llama, seed: number): Answerer {
  const options = { allowMarkers: true }; // a model may write them itself
  return async (messages) => {
    const { ids } = await llama.renderChat(messages, options);
    const room = Math.min(Number(values["answer-tokens"]), llama.contextLength - ids.length);
    if (room < 1) return undefined;
    const temperature = Number(values.temperature);
    const { text } = await llama.completeChat(messages, { ...options, temperature, seed, maxTokens: room });
    return text.trim();
  };
}

async function playAll(location: string): Promise<ReadonlyMap<JudgedDialogue["name"], readonly Played[]>> {
  await using device = cpu();
  await using llama = await Llama.load(location, { backend: device });
  const played = new Map<JudgedDialogue["name"], readonly Played[]>();
  for (const name of judgedInstructions) {
    const started = performance.now();
    const found: Played[] = [];
    for (const [index, dialogue] of dialoguesOf(name).entries())
      found.push(await play(dialogue, answererOf(llama, Number(values.seed) * 1000 + index)));
    played.set(name, found);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.error(`${location}: ${found.length} dialogues under "${name}" in ${seconds} s`);
  }
  return played;
}

const models = { without: await playAll(values.without), with: await playAll(values.with) };
const rows = judgedInstructions.flatMap((instruction): readonly Row[] =>
  judgedTurns.map((turn) => ({
    instruction,
    turn,
    without: shareAt(models.without.get(instruction) ?? [], turn),
    with: shareAt(models.with.get(instruction) ?? [], turn),
  })),
);
for (const line of tableLines(rows)) console.log(line);
const cut = Object.values(models).flatMap((played) =>
  [...played.values()].flatMap((found) =>
    found.flatMap(({ turns }) => turns.filter(({ answer }) => answer === undefined)),
  ),
);
if (cut.length > 0) console.log(`\n${cut.length} turns lay beyond a context, and count as not obeyed.`);
if (values.json !== undefined) {
  const played = { without: Object.fromEntries(models.without), with: Object.fromEntries(models.with) };
  await writeFile(values.json, `${JSON.stringify({ settings: values, rows, played }, undefined, 1)}\n`);
}
