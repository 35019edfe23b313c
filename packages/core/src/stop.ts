// Stop sequences in streamed text: text that may still become a stop sequence is held back until that is decided.

/** What a push lets through: text before any stop sequence, and whether one was met. */
export interface StopResult {
  readonly text: string;
  readonly stopped: boolean;
}

export interface StopFilter {
  push(text: string): StopResult;
  /** What was held back in vain. */
  end(): string;
}

/** A filter for the given stop sequences; the earliest in the text wins. Empty ones are ignored. */
export function createStopFilter(stops: readonly string[]): StopFilter {
  const sequences = stops.filter((stop) => stop !== "");
  let held = "";
  return {
    push(text) {
      held += text;
      const places = sequences.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      if (places.length > 0) {
        const before = held.slice(0, Math.min(...places));
        held = "";
        return { text: before, stopped: true };
      }
      const keep = Math.max(0, ...sequences.map((stop) => overlap(held, stop)));
      const free = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text: free, stopped: false };
    },
    end() {
      const rest = held;
      held = "";
      return rest;
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
