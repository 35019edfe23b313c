// Compares models by their loss on the held-out documents: nats per character, so that vocabularies do not matter, from
// windows no longer than each model's context.
//
//   npm run poet:held-out -- MODEL... [--data FOLDER] [--documents N] [--json FILE]
//
// The folder is that of `npm run poet:data`; MODEL is any checkpoint, such as packages/model-poet/files.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cpu } from "@polyllama/backend-cpu";
import { openCheckpoint } from "polyllama";
import type { SourceName } from "./data/document.ts";
import { type Score, scoreTexts } from "./held-out/score.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: join(root, ".poet") },
    documents: { type: "string", default: "200" },
    json: { type: "string" },
  },
});
const models = positionals.length > 0 ? positionals : [join(root, "packages/model-poet/files")];
const sources: readonly SourceName[] = ["english", "poems", "novels"];

async function readTexts(name: SourceName): Promise<readonly string[]> {
  const lines = (await readFile(join(values.data, `${name}.held-out.jsonl`), "utf8")).trimEnd().split("\n");
  return lines.slice(0, Number(values.documents)).map((line) => {
    const { text }: { text: string } = JSON.parse(line); // which poet:data wrote
    return text;
  });
}

const texts = new Map(await Promise.all(sources.map(async (name) => [name, await readTexts(name)] as const)));
const results: { readonly model: string; readonly context: number; readonly scores: Record<string, Score> }[] = [];
for (const location of models) {
  await using device = cpu();
  await using model = await openCheckpoint(location);
  const scores: Record<string, Score> = {};
  for (const [name, all] of texts) scores[name] = await scoreTexts(device, model, all);
  results.push({ model: location, context: model.config.contextLength, scores });
}

console.log("| model | context | source | documents | characters | tokens | nats per character | nats per token |");
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const { model, context, scores } of results) {
  for (const [name, { documents, characters, tokens, loss }] of Object.entries(scores)) {
    const cells = [model, context, name, documents, characters, tokens, loss / characters, loss / tokens];
    console.log(`| ${cells.map((cell, at) => (at > 5 ? Number(cell).toFixed(4) : cell)).join(" | ")} |`);
  }
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
