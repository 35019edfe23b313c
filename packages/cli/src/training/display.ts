// Progress of a run: on a terminal one line that is written over, elsewhere a line now and then. What happens seldom, such
// as a validation or a checkpoint, has a line of its own in either case.

import type { RunEvent } from "@polyllama/training/node";
import { count, seconds, speed } from "../format.ts";
import type { Telling } from "../progress.ts";
import { note } from "../terminal.ts";

/** Milliseconds between lines where there is no terminal. */
const between = 10_000;
/** How much of an average over steps the newest one is. */
const newest = 0.1;

export interface TrainingDisplay extends Disposable {
  readonly tell: (event: RunEvent) => void;
}

/** @param steps Of the whole run. */
export function createTrainingDisplay(steps: number, { json = false }: Telling): TrainingDisplay {
  if (json) return { tell: () => undefined, [Symbol.dispose]: () => undefined };
  const { stderr } = process;
  let told = performance.now();
  let last = told;
  let pace: number | undefined; // milliseconds of a step
  let hasLine = false;
  const clear = (): void => {
    if (hasLine) stderr.write("\r\x1B[2K");
    hasLine = false;
  };
  const line = (text: string): void => {
    clear();
    note(text);
  };
  return {
    tell(event) {
      const now = performance.now();
      if (event.kind === "start") {
        last = now;
        if (event.step > 0) line(`going on after step ${count(event.step)}`);
      } else if (event.kind === "step") {
        pace = pace === undefined ? now - last : (1 - newest) * pace + newest * (now - last);
        last = now;
        const left = event.step < steps ? [`${seconds(((steps - event.step) * pace) / 1000)} left`] : [];
        const facts = [`loss ${event.loss.toFixed(4)}`, speed(event.tokensPerSecond), ...left];
        const text = `step ${count(event.step)} of ${count(steps)} | ${facts.join(" | ")}`;
        if (stderr.isTTY) {
          clear();
          stderr.write(text.slice(0, (stderr.columns || 80) - 1));
          hasLine = true;
        } else if (now - told >= between || event.step === steps) {
          told = now;
          line(text);
        }
      } else if (event.kind === "validation") {
        line(`step ${count(event.step)}: validation loss ${event.loss.toFixed(4)}`);
      } else if (event.kind === "samples") {
        for (const { prompt, text } of event.samples) line(`step ${count(event.step)}: ${prompt}${text}`);
      } else if (event.kind === "changed") {
        line(`otherwise than before: ${event.changes.join(", ")}`);
      } else line(`step ${count(event.step)}: saved ${event.path}`);
    },
    [Symbol.dispose]: clear,
  };
}
