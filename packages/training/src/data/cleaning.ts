// What is left out of a corpus, text by text: what was there before, and what holds personal data. The report says what
// and how much, with examples in which nobody can be found again.

import { checkOptions, type OptionSchema, option } from "@polyllama/core";
import { createDuplicateFinder, type DuplicateOptions } from "./duplicates.ts";
import { findPersonalData, maskPersonalData, type PersonalKind } from "./personal.ts";

/** Options of {@link createCleaner}. */
export interface CleaningOptions extends DuplicateOptions {
  /**
   * What happens to texts with personal data: `drop` leaves them out, `mask` puts the kind in place of each, `keep`
   * does not look. Default `drop`.
   */
  readonly personal?: "drop" | "mask" | "keep";
}

/** Why a text was left out. */
export type RemovalReason = "exact duplicate" | "near duplicate" | "personal data";

/** What was found of one kind. */
export interface PersonalCount {
  readonly found: number;
  /** Texts with it. */
  readonly texts: number;
  /** The first few, letters and digits replaced but for the first. */
  readonly examples: readonly string[];
}

/** What a cleaner has done so far. */
export interface CleaningReport {
  readonly texts: number;
  readonly kept: number;
  readonly removed: Readonly<Record<RemovalReason, number>>;
  /** Kept texts in which personal data were masked. */
  readonly masked: number;
  readonly personal: Readonly<Partial<Record<PersonalKind, PersonalCount>>>;
}

/** Decides on one text after the other. */
export interface Cleaner {
  /**
   * The text as it stays, or undefined for one to leave out.
   *
   * @param compared What makes it the same as another one, where that is not the whole text: a poem without its title.
   */
  clean(text: string, compared?: string): string | undefined;
  readonly report: CleaningReport;
}

const cleaningOptionTypes: OptionSchema<CleaningOptions> = {
  threshold: option.number({ least: 0.1, most: 1 }),
  ngram: option.integer({ least: 1, most: 64 }),
  personal: option.oneOf(["drop", "mask", "keep"]),
};

const mostExamples = 3;

/** @throws {OptionError} */
export function createCleaner(options: CleaningOptions = {}): Cleaner {
  checkOptions(options, cleaningOptionTypes, "createCleaner");
  const { personal = "drop", ...duplicateOptions } = options;
  const duplicates = createDuplicateFinder(duplicateOptions);
  const removed: Record<RemovalReason, number> = { "exact duplicate": 0, "near duplicate": 0, "personal data": 0 };
  const counts = new Map<PersonalKind, { found: number; texts: number; examples: string[] }>();
  let [texts, kept, masked] = [0, 0, 0];

  const withoutPersonal = (text: string): string | undefined => {
    const found = findPersonalData(text);
    if (found.length === 0) return text;
    for (const kind of new Set(found.map((each) => each.kind))) {
      const count = counts.get(kind) ?? { found: 0, texts: 0, examples: [] };
      const all = found.filter((each) => each.kind === kind).map(({ start, end }) => text.slice(start, end));
      count.found += all.length;
      count.texts++;
      count.examples.push(...all.slice(0, mostExamples - count.examples.length).map(disguised));
      counts.set(kind, count);
    }
    return personal === "mask" ? maskPersonalData(text, found) : undefined;
  };

  return {
    get report() {
      return { texts, kept, removed: { ...removed }, masked, personal: structuredClone(Object.fromEntries(counts)) };
    },
    clean(text, compared = text) {
      texts++;
      const clear = personal === "keep" ? text : withoutPersonal(text);
      if (clear === undefined) {
        removed["personal data"]++;
        return undefined;
      }
      const duplicate = duplicates.add(compared);
      if (duplicate !== undefined) {
        removed[`${duplicate.kind} duplicate`]++;
        return undefined;
      }
      kept++;
      if (clear !== text) masked++;
      return clear;
    },
  };
}

/** The report in lines for people. */
export function reportLines({ texts, kept, removed, masked, personal }: CleaningReport): readonly string[] {
  const share = (count: number): string => `${count} (${((100 * count) / Math.max(1, texts)).toFixed(2)} %)`;
  return [
    `${texts} texts, ${share(kept)} kept`,
    ...Object.entries(removed).map(([reason, count]) => `${share(count)} removed: ${reason}`),
    ...(masked > 0 ? [`${share(masked)} kept with personal data masked`] : []),
    ...Object.entries(personal).map(
      ([kind, { found, texts: holders, examples }]) =>
        `${kind}: ${found} in ${holders} texts, such as ${examples.join(", ")}`,
    ),
  ];
}

function disguised(found: string): string {
  return found.slice(0, 1) + found.slice(1).replace(/[\p{L}\p{N}]/gu, "*");
}
