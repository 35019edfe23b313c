// Progress of long work, on standard error: a bar with speed and time left on a terminal, and elsewhere one line for each
// phase. Work that is over before one could read about it leaves no trace.

import { Presets, SingleBar } from "cli-progress";
import type { Progress } from "polyllama";
import { bytes, count, seconds } from "./format.ts";
import { note } from "./terminal.ts";

export interface ProgressDisplay extends Disposable {
  readonly update: (progress: Progress) => void;
}

/** Milliseconds after which work counts as long. */
const patience = { terminal: 250, other: 1000 };

export function createProgress(unit: "bytes" | "tokens"): ProgressDisplay {
  const amount = unit === "bytes" ? bytes : (value: number) => `${count(value)} tokens`;
  let phase = "";
  let started = 0;
  let bar: SingleBar | undefined;
  let told = false;

  const end = (): void => {
    bar?.stop();
    bar = undefined;
    told = false;
  };

  return {
    update(progress) {
      const now = performance.now();
      if (progress.phase !== phase) {
        end();
        phase = progress.phase;
        started = now;
      }
      const elapsed = now - started;
      if (!process.stderr.isTTY) {
        if (told || elapsed < patience.other || progress.done >= progress.total) return;
        told = true;
        note(`${phase}: ${amount(progress.total)} ...`);
        return;
      }
      if (bar === undefined) {
        if (elapsed < patience.terminal || progress.done >= progress.total) return;
        bar = createBar();
        bar.start(progress.total, 0, texts(progress, elapsed));
      }
      bar.update(progress.done, texts(progress, elapsed));
    },
    [Symbol.dispose]: end,
  };

  function texts({ done, total }: Progress, elapsed: number): object {
    const perSecond = (done / elapsed) * 1000;
    const left = done > 0 ? seconds((total - done) / perSecond) : "?";
    return { phase, amount: `${amount(done)} of ${amount(total)}`, speed: `${amount(perSecond)}/s`, left };
  }
}

function createBar(): SingleBar {
  return new SingleBar(
    {
      stream: process.stderr,
      format: "{phase} {bar} {percentage} % | {amount} | {speed} | {left} left",
      barsize: 20,
      fps: 8,
      clearOnComplete: true,
      hideCursor: true,
      linewrap: false,
      gracefulExit: false, // interrupts.ts decides what Ctrl-C means
    },
    Presets.shades_classic,
  );
}
