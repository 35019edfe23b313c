// The part of a check that measures speed: every task on the card, what the card itself can, and PyTorch beside it.

import type { GpuCheckContext } from "../context.ts";
import { runTorch, torchMissing } from "../programs.ts";
import { benchLines } from "../report/figures.ts";
import type { GpuBench } from "../report/report.ts";
import { runTask, skipTask } from "./measure.ts";
import type { BenchResult } from "./tasks.ts";

/** A card that can be used, or why there is none. */
export type Usable = { readonly computeCapability: string; readonly memory: { readonly free: number } } | string;

export interface SpeedLimits {
  /** Seconds that are left of the whole time. */
  readonly left: () => number;
  /** Seconds that PyTorch gets, where it is there. */
  readonly torch: number;
}

/** Measures into `found`, which is saved after each measurement, and prints it. */
export async function measureSpeed(
  found: GpuBench,
  card: Usable,
  { left, torch }: SpeedLimits,
  context: GpuCheckContext,
  save: () => Promise<void>,
): Promise<void> {
  if (typeof card === "string") {
    for (const task of context.tasks) found.results.push(await skipTask(task, card));
    found.torch = { notRun: card };
  } else {
    const { signal } = context;
    const python = context.findProgram("python3");
    const noTorch = await torchMissing(python, { seconds: Math.min(60, left()), signal });
    if (noTorch !== undefined) found.torch = { notRun: noTorch };
    found.bandwidth = await context.copyBandwidth();
    // A card below 8.0 has no such units, and then there is nothing to compare prompts with.
    if (Number(card.computeCapability) >= 8) found.peak = { own: await context.tensorPeak() };
    await runTasks(found, card.memory.free, () => left() - (noTorch === undefined ? torch : 0), context, save);
    if (noTorch === undefined && python !== undefined) {
      context.note("PyTorch: 7B bf16 ...");
      found.torch = await runTorch(python, { seconds: Math.max(1, left()), signal });
      const peak = "notRun" in found.torch ? undefined : found.torch.measurements.find(({ what }) => what === "peak");
      if (peak?.value !== undefined) found.peak = { ...found.peak, torch: peak.value };
    }
  }
  for (const line of benchLines(found)) context.print(`  ${line}`.trimEnd());
}

async function runTasks(
  found: GpuBench,
  free: number,
  left: () => number,
  { signal, tasks, bench, note, createBackend }: GpuCheckContext,
  save: () => Promise<void>,
): Promise<void> {
  await using device = await createBackend("cuda");
  for (const [index, task] of tasks.entries()) {
    const rest = left();
    if (rest <= 0) found.results.push(await skipTask(task, "out of time"));
    else {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(rest * 1000))]);
      const onProgress = (label: string, what: string): void => note(`${label}: ${what} ...`);
      const onResult = async (result: BenchResult): Promise<void> => {
        found.results[index] = result;
        await save();
      };
      found.results[index] = await runTask(device, task, { signal: limited, onProgress, onResult, free, ...bench });
      signal.throwIfAborted();
    }
    await save();
  }
}
