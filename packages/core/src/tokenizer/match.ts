// Finds the names of tokens within text: at each place the longest one.

import type { Places } from "./literal.ts";

export interface Matcher {
  /** Id of the longest name that stands at `at`, of at most so many UTF-16 units, or -1. */
  at(text: string, at: number, most?: number): number;
  /** Length of the name of an id that `at` returned. */
  length(id: number): number;
}

/** A matcher for names and their ids, or undefined where there is no name to find. */
export function nameMatcher(names: Iterable<readonly [string, number]>): Matcher | undefined {
  const ids = new Map<string, number>();
  const lengths = new Map<number, number>(); // by id
  const candidates = new Map<number, number[]>(); // by first code unit: lengths of names, longest first
  for (const [name, id] of names) {
    if (name === "") continue;
    ids.set(name, id);
    lengths.set(id, name.length);
    const list = candidates.get(name.charCodeAt(0)) ?? [];
    if (!list.includes(name.length)) list.push(name.length);
    candidates.set(name.charCodeAt(0), list);
  }
  if (ids.size === 0) return undefined;
  for (const list of candidates.values()) list.sort((a, b) => b - a);

  return {
    at(text, at, most = Infinity) {
      const list = candidates.get(text.charCodeAt(at));
      if (list === undefined) return -1;
      for (const length of list) {
        const id = length <= most && at + length <= text.length ? ids.get(text.slice(at, at + length)) : undefined;
        if (id !== undefined) return id;
      }
      return -1;
    },
    length: (id) => lengths.get(id)!,
  };
}

/** A stretch of text, or a token whose name stood in the text. */
export interface Section {
  readonly text: string;
  readonly id: number | undefined;
  /** Where it begins. */
  readonly start: number;
}

/** A function that tells how far it is from a place, which only ever advances, to the next of these. */
export function distances(places: Places): (at: number) => number {
  let next = 0;
  return (at) => {
    while (next < places.length && places[next]! <= at) next++;
    return next < places.length ? places[next]! - at : Infinity;
  };
}

/**
 * Cuts text at the names that a matcher finds, from left to right; none spans one of the places. Stretches are never
 * empty.
 */
export function cutAtNames(text: string, names: Matcher | undefined, places: Places = []): Section[] {
  const found: Section[] = [];
  const distance = distances(places);
  let start = 0;
  for (let at = 0; names !== undefined && at < text.length; ) {
    const id = names.at(text, at, distance(at));
    if (id < 0) {
      at++;
      continue;
    }
    if (start < at) found.push({ text: text.slice(start, at), id: undefined, start });
    const end = at + names.length(id);
    found.push({ text: text.slice(at, end), id, start: at });
    start = at = end;
  }
  if (start < text.length) found.push({ text: text.slice(start), id: undefined, start });
  return found;
}
