// Stop sequences in streamed text: text that may still become a stop sequence is held back until that is decided. How
// the text was cut into pushes makes no difference: of several stop sequences the one that begins first in the whole
// text counts.

/** What is let through: text before any stop sequence, and whether one was met. */
export interface StopResult {
  readonly text: string;
  readonly stopped: boolean;
}

export interface StopFilter {
  /** Not to be called again once it has stopped. */
  push(text: string): StopResult;
  /** The text ends here: what was held back, up to a stop sequence that is complete within it. */
  end(): StopResult;
}

/** A filter for the given stop sequences. Empty ones are ignored. */
export function createStopFilter(stops: readonly string[]): StopFilter {
  const sequences = stops.filter((stop) => stop !== "");
  let held = "";
  const take = (length: number, stopped: boolean): StopResult => {
    const text = held.slice(0, length);
    held = stopped ? "" : held.slice(length);
    return { text, stopped };
  };
  /** Where the first complete stop sequence begins; behind the text where there is none. */
  const met = (): number =>
    Math.min(held.length, ...sequences.map((stop) => held.indexOf(stop)).filter((at) => at >= 0));
  return {
    push(text) {
      held += text;
      // A longer sequence that begins earlier may still become complete.
      const open = held.length - Math.max(0, ...sequences.map((stop) => overlap(held, stop)));
      const at = met();
      return at < held.length && at <= open ? take(at, true) : take(open, false);
    },
    end() {
      const at = met();
      return take(at, at < held.length);
    },
  };
}

/** Length of the longest end of `text` that is a proper beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
