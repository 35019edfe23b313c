// Makes the poet: data, pre-training, dialogues, fine-tuning, Ghost Attention, and the folder to embed. Stages that have
// ended are passed over, and one that was stopped goes on, so that the same command finishes what it began.
//
//   npm run poet:train -- [CORPORA] [--out FOLDER] [--backend NAME] [--ablation] [--from STAGE] [--to STAGE] [--list]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isDone, markDone } from "./train/progress.ts";
import { type Stage, stagesOf } from "./train/stages.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string", default: join(root, ".poet") },
    backend: { type: "string", default: "cpu" },
    ablation: { type: "boolean", default: false },
    from: { type: "string" },
    to: { type: "string" },
    list: { type: "boolean", default: false },
  },
});
const [corpora = join(root, "../shared/data/corpora")] = positionals;
const { backend, ablation, from, to } = values;
const folder = resolve(values.out);
const stages = stagesOf({ folder, corpora: resolve(corpora), backend, ablation }, root);

/** Place of a stage that an option names. */
function placeOf(name: string | undefined, otherwise: number): number {
  const place = name === undefined ? otherwise : stages.findIndex((stage) => stage.name === name);
  if (place >= 0) return place;
  console.error(`There is no stage ${name}; there are ${stages.map((stage) => stage.name).join(", ")}.`);
  process.exit(2);
}

/** Runs a stage; Ctrl-C reaches it by itself, and it decides how to end. */
async function run({ program, arguments: given }: Stage): Promise<number> {
  const child = spawn(process.execPath, [join(root, "scripts/run-source.mjs"), program, ...given], {
    stdio: "inherit",
  });
  const [code] = await once(child, "exit");
  return typeof code === "number" ? code : 1;
}

process.on("SIGINT", () => {});
const chosen = stages.slice(placeOf(from, 0), placeOf(to, stages.length - 1) + 1);
for (const stage of chosen) {
  if (values.list) {
    console.log(
      `${stage.name}: node scripts/run-source.mjs ${[stage.program, ...stage.arguments].map(quoted).join(" ")}`,
    );
    continue;
  }
  if (await isDone(folder, stage)) {
    console.log(`${stage.name}: done`);
    continue;
  }
  console.log(`${stage.name}: begins`);
  const code = await run(stage);
  if (code !== 0) process.exit(code);
  await markDone(folder, stage);
}

function quoted(text: string): string {
  return /^[\w./:,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
