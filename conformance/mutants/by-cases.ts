// Faults of the reference and of the onnxruntime backend, judged by operation cases and whole models: cases are asked
// first, from cheap to dear; what they miss is left to models.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Answer } from "./child.ts";
import { type CaseMutant, cleanIndex, copiesFolder, type MutatedPackage, plant } from "./mutant.ts";
import { carryOut, cleanUpAtExit, inOrder } from "./process.ts";

/** Seconds until a mutant's process is given up. */
const limit = 300;
/** Multiply-adds of a case that clean runs after the first leave out. */
const heavy = 2 ** 23;

export interface CaseOptions {
  readonly jobs: number;
  readonly seed: number;
  /** Operation cases alone, without whole models. */
  readonly opsOnly: boolean;
  /** Every fault has to be found. */
  readonly strict: boolean;
}

/** Prints what finds each fault. @returns whether enough are found. */
export async function findByCases(
  selection: readonly CaseMutant[],
  { jobs, seed, opsOnly, strict }: CaseOptions,
): Promise<boolean> {
  cleanUpAtExit();
  const stages = opsOnly ? (["op"] as const) : (["op", "model"] as const);
  const start = performance.now();
  let byOps = 0;
  let found = 0;
  const unsound = new Set<string>();
  const checked = new Map<string, Promise<boolean>>();
  /** Whether a case passes without a fault. */
  const sound = (name: MutatedPackage, address: string): Promise<boolean> => {
    const key = `${name} ${address}`;
    const order = { index: cleanIndex(name), package: name, seed, stages, only: [address] };
    const check = checked.get(key) ?? carryOut(order, limit).then(({ passed }) => passed === 1);
    checked.set(key, check);
    return check;
  };
  const look = async (mutant: CaseMutant): Promise<Answer> => {
    const { package: name } = mutant;
    const folder = join(copiesFolder(), mutant.id);
    const index = await plant(mutant, folder);
    for (;;) {
      const answer = await carryOut({ index, package: name, seed, stages, except: [...unsound] }, limit);
      const address = answer.found?.address;
      if (address === undefined || (await sound(name, address))) {
        await rm(folder, { recursive: true, force: true });
        return answer;
      }
      unsound.add(address);
    }
  };
  await inOrder(selection, jobs, look, (mutant, answer) => {
    if (answer.broken === undefined && answer.found !== undefined) {
      found++;
      if (answer.found.stage === "op") byOps++;
    }
    process.stdout.write(`${line(mutant, answer)}\n`);
  });
  const total = selection.length;
  const required = selection.filter(({ inModels }) => !inModels).length;
  const seconds = Math.round((performance.now() - start) / 1000);
  const whole = opsOnly ? "" : `, ${found} of ${total} by the whole suite`;
  process.stdout.write(`${byOps} of ${required} found by op cases${whole}; seed ${seed}, ${seconds} s\n`);
  // Where mutants were chosen, what has to be found is what was chosen.
  const passed = strict ? found === total : byOps >= required && (found === total || whole === "");
  for (const address of unsound) process.stdout.write(`Not counted, as it fails without a fault too: ${address}\n`);
  return passed && unsound.size === 0;
}

function line({ id, package: name, what }: CaseMutant, { passed, broken, found }: Answer): string {
  const head = `${name === "backend-onnxruntime" ? "onnxruntime" : "reference  "}  ${id}: ${what}`;
  if (broken !== undefined) return `${head}\n             NOT A FAULT OF NUMBERS: ${broken}`;
  if (found === undefined) return `${head}\n             NOT FOUND by ${passed} cases`;
  return `${head}; found by ${found.address}, error/bound ${share(found.worst)}`;
}

function share(worst: string): string {
  const value = Number(worst);
  return Number.isFinite(value) ? value.toPrecision(3) : "infinite";
}

/** Runs the sources without a fault with seeds from `first` on. @returns whether nothing was found. */
export async function cleanRuns(runs: number, first: number, jobs: number): Promise<boolean> {
  cleanUpAtExit();
  const items = Array.from({ length: runs }, (_, run) => run).flatMap((run) =>
    (["backend-onnxruntime", "backend-reference"] as const).map((name) => ({ run, name })),
  );
  process.stdout.write(
    `The clean tree, ${runs} runs with fresh seeds. After the first, cases of more than ${heavy} multiply-adds are left out.\n`,
  );
  const start = performance.now();
  let findings = 0;
  await inOrder(
    items,
    jobs,
    ({ run, name }) =>
      carryOut(
        {
          index: cleanIndex(name),
          package: name,
          seed: first + run,
          stages: ["op", "model"],
          ...(run > 0 && { most: heavy }),
        },
        1200,
      ),
    ({ run, name }, { passed, skipped, broken, found }) => {
      const problem = broken ?? (found && `${found.address}: ${found.detail}`);
      if (problem !== undefined) findings++;
      const verdict = problem === undefined ? "no finding" : `FINDING: ${problem}`;
      const who = name === "backend-onnxruntime" ? "onnxruntime" : "reference judged as f32";
      process.stdout.write(
        `run ${run + 1}, seed ${first + run}, ${who}: ${passed} cases passed, ${skipped} left out, ${verdict}\n`,
      );
    },
  );
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(`${findings} findings in ${runs} runs of onnxruntime and reference (${seconds} s)\n`);
  return findings === 0;
}
