// Finds the names of tokens within text: at each place the longest one.

export interface Matcher {
  /** Id of the longest name that stands at `at`, or -1. */
  at(text: string, at: number): number;
  /** Length of the name of an id that `at` returned. */
  length(id: number): number;
}

/** A matcher for names and their ids, or undefined where there is no name to find. */
export function matcher(names: Iterable<readonly [string, number]>): Matcher | undefined {
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
    at(text, at) {
      const list = candidates.get(text.charCodeAt(at));
      if (list === undefined) return -1;
      for (const length of list) {
        const id = at + length <= text.length ? ids.get(text.slice(at, at + length)) : undefined;
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
}

/** Cuts text at the names that a matcher finds, from left to right. Stretches are never empty. */
export function sections(text: string, names: Matcher | undefined): Section[] {
  const found: Section[] = [];
  let start = 0;
  for (let at = 0; names !== undefined && at < text.length; ) {
    const id = names.at(text, at);
    if (id < 0) {
      at++;
      continue;
    }
    if (start < at) found.push({ text: text.slice(start, at), id: undefined });
    const end = at + names.length(id);
    found.push({ text: text.slice(at, end), id });
    start = at = end;
  }
  if (start < text.length) found.push({ text: text.slice(start), id: undefined });
  return found;
}
