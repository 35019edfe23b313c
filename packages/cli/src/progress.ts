// Progress of long work, on standard error: a bar with speed and time left on a terminal, and elsewhere one line for
// each phase. Work that is over before one could read about it leaves no trace. With `--json` a program reads, to which
// every line on standard error that is no error and no notice is noise: nothing is told then.

import { Presets, SingleBar } from "cli-progress";
import type { Progress } from "polyllama";
import { bytes, count, plural, seconds, speed } from "./format.ts";
import { note } from "./terminal.ts";

export interface ProgressDisplay extends Disposable {
  readonly update: (progress: Progress) => void;
}

/** What decides whether progress is told; of the options of a command. */
export interface Telling {
  readonly json?: boolean;
}

/** Says after a second what is waited for, unless that is over by then. */
export function createHint(text: string, { json = false }: Telling): Disposable {
  const timer = json ? undefined : setTimeout(() => note(`${text} ...`), patience.other);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Milliseconds after which work counts as long. */
const patience = { terminal: 250, other: 1000 };

export function createProgress({ json = false }: Telling = {}): ProgressDisplay {
  if (json) return { update: () => undefined, [Symbol.dispose]: () => undefined };
  let current: Progress = { phase: "", done: 0, total: 0 };
  let started = 0;
  let timer: NodeJS.Timeout | undefined;
  let bar: SingleBar | undefined;

  const end = (): void => {
    clearTimeout(timer);
    bar?.stop();
    bar = undefined;
  };
  const show = (): void => {
    if (!process.stderr.isTTY) {
      const { phase, total, unit = "bytes" } = current;
      const amount = unit === "bytes" ? `: ${bytes(total)}` : `: ${plural(total, unit.slice(0, -1))}`;
      note(`${phase}${unit === "steps" ? "" : amount} ...`);
      return;
    }
    bar = createBar();
    bar.start(current.total, current.done, texts());
  };
  const texts = (): object => {
    const { phase, done, total, unit = "bytes" } = current;
    const perSecond = (done / (performance.now() - started)) * 1000;
    const left = `${seconds((total - done) / perSecond)} left`;
    if (unit === "steps") return { phase, facts: done === 0 ? "" : left };
    const amount = unit === "bytes" ? `${bytes(done)} of ${bytes(total)}` : `${count(done)} of ${count(total)} ${unit}`;
    const pace = unit === "bytes" ? `${bytes(perSecond)}/s` : unit === "tokens" ? speed(perSecond) : "";
    // Nothing is known about the pace before the first part is done.
    const parts = done === 0 ? [amount] : [amount, pace, left];
    return { phase, facts: parts.filter((part) => part !== "").join(" | ") };
  };

  return {
    update(progress) {
      if (progress.phase !== current.phase) {
        end();
        started = performance.now();
        timer = setTimeout(show, process.stderr.isTTY ? patience.terminal : patience.other);
      }
      current = progress;
      if (progress.done >= progress.total) end();
      else bar?.update(progress.done, texts());
    },
    [Symbol.dispose]: end,
  };
}

function createBar(): SingleBar {
  return new SingleBar(
    {
      stream: process.stderr,
      format: "{phase} {bar} {percentage} % | {facts}",
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
