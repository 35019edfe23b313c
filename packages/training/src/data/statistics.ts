// What a corpus is like: which scripts its letters are of, and how long its texts are.

/** How long texts are. */
export interface Lengths {
  readonly least: number;
  /** Percentiles: one in twenty texts is not longer than `p5`. */
  readonly p5: number;
  readonly p25: number;
  readonly median: number;
  readonly p75: number;
  readonly p95: number;
  readonly most: number;
  readonly mean: number;
}

/** What texts are like; shares are of all letters. */
export interface CorpusStatistics {
  readonly texts: number;
  /** Unicode characters. */
  readonly characters: number;
  /** Undefined where no tokens were given. */
  readonly tokens: number | undefined;
  readonly scripts: { readonly han: number; readonly latin: number; readonly other: number };
  readonly textCharacters: Lengths | undefined;
  readonly textTokens: Lengths | undefined;
}

/** Takes in one text after the other; memory grows with different lengths alone. */
export interface StatisticsCollector {
  /** Takes in a text. @param tokens How many tokens it is. */
  add(text: string, tokens?: number): void;
  readonly result: CorpusStatistics;
}

/** Statistics of the texts that are added. */
export function createStatistics(): StatisticsCollector {
  const [characters, tokens] = [lengthCounter(), lengthCounter()];
  const letters = { han: 0, latin: 0, other: 0 };
  return {
    add(text, count) {
      characters.add(text.length - matches(text, /[\ud800-\udbff][\udc00-\udfff]/g));
      if (count !== undefined) tokens.add(count);
      const [all, han, latin] = [/\p{L}/gu, /(?=\p{L})\p{Script=Han}/gu, /(?=\p{L})\p{Script=Latin}/gu].map((pattern) =>
        matches(text, pattern),
      ) as [number, number, number]; // three patterns
      letters.han += han;
      letters.latin += latin;
      letters.other += all - han - latin;
    },
    get result() {
      const all = Math.max(1, letters.han + letters.latin + letters.other);
      return {
        texts: characters.count,
        characters: characters.sum,
        tokens: tokens.count === 0 ? undefined : tokens.sum,
        scripts: { han: letters.han / all, latin: letters.latin / all, other: letters.other / all },
        textCharacters: characters.lengths(),
        textTokens: tokens.lengths(),
      };
    },
  };
}

function matches(text: string, pattern: RegExp): number {
  let count = 0;
  for (const _ of text.matchAll(pattern)) count++;
  return count;
}

interface LengthCounter {
  readonly count: number;
  readonly sum: number;
  add(length: number): void;
  lengths(): Lengths | undefined;
}

function lengthCounter(): LengthCounter {
  const times = new Map<number, number>();
  let [count, sum] = [0, 0];
  return {
    get count() {
      return count;
    },
    get sum() {
      return sum;
    },
    add(length) {
      times.set(length, (times.get(length) ?? 0) + 1);
      count++;
      sum += length;
    },
    lengths() {
      if (count === 0) return undefined;
      const sorted = [...times].sort(([a], [b]) => a - b);
      /** The least length that at least this share of the texts do not exceed. */
      const percentile = (share: number): number => {
        let below = 0;
        for (const [length, number] of sorted) {
          below += number;
          if (below >= share * count) return length;
        }
        return sorted.at(-1)![0]; // not empty, since count is not 0
      };
      const [p5, p25, median, p75, p95] = [0.05, 0.25, 0.5, 0.75, 0.95].map(percentile) as [
        number,
        number,
        number,
        number,
        number, // as many shares
      ];
      return { least: percentile(0), p5, p25, median, p75, p95, most: percentile(1), mean: sum / count };
    },
  };
}
