// Byte-pair merging of a corpus: the most frequent pair of neighbouring symbols becomes a symbol, over and over. Of
// equally frequent pairs the shorter goes first, then the one that sorts first, as in SentencePiece.
//
// Symbols of all words stand in one array and form linked lists; so do the places of each pair, by arrays over the
// places themselves. A merge thus costs as much as it has places. Pairs wait in a bucket for each frequency; a pair
// that has become rarer since is moved when its bucket's turn comes, and only there are ties put in order.

import { heap } from "./heap.ts";

export interface PairRules {
  /** Longest piece in characters. */
  readonly maxPieceLength: number;
  /** Stands for a space. */
  readonly space: string;
}

/**
 * The pieces that merging makes, in order, as long as any are wanted.
 *
 * @param words As code points, with how often each occurs. Words hold nothing that no piece may hold.
 */
export function* mergePairs(
  words: Iterable<readonly [characters: readonly number[], count: number]>,
  rules: PairRules,
): Generator<string> {
  const symbols = symbolTable(rules.space);
  const corpus = layOut(words, symbols);
  const pairs = pairTable(corpus, symbols, rules.maxPieceLength);
  const { symbolAt, next, previous } = corpus;

  const buckets = new Map<number, number[]>(); // by frequency
  const levels = heap<number>((a, b) => a > b);
  const file = (pair: number, frequency: number): void => {
    const bucket = buckets.get(frequency);
    if (bucket !== undefined) bucket.push(pair);
    else if (frequency > 0) {
      buckets.set(frequency, [pair]);
      levels.push(frequency);
    }
  };
  for (let place = 0; place < symbolAt.length; place++) pairs.add(place);
  for (const pair of pairs.takeNew()) file(pair, pairs.frequency(pair));

  const seen = new Set<string>();
  for (let level = levels.pop(); level !== undefined; level = levels.pop()) {
    const ties = heap<Candidate>(precedes);
    const offer = (pair: number): void => {
      const frequency = pairs.frequency(pair);
      if (frequency !== level) file(pair, frequency);
      else ties.push({ pair, ...pairs.describe(pair) });
    };
    for (const pair of buckets.get(level)!) offer(pair); // a level has a bucket
    buckets.delete(level);

    for (let best = ties.pop(); best !== undefined; best = ties.pop()) {
      const { pair, text } = best;
      if (pairs.frequency(pair) !== level) {
        offer(pair);
        continue;
      }
      const places = pairs.retire(pair);
      if (seen.has(text)) continue; // the same piece put together in another way; SentencePiece drops it
      seen.add(text);
      yield text;
      const symbol = symbols.create(text);
      for (const place of places) {
        if (pairs.at(place) !== pair) continue; // overlapped the one before
        const right = next[place]!;
        const after = next[right]!;
        const before = previous[place]!;
        if (before >= 0) pairs.remove(before);
        pairs.remove(place);
        pairs.remove(right);
        symbolAt[place] = symbol;
        next[place] = after;
        if (after >= 0) previous[after] = place;
        if (before >= 0) pairs.add(before);
        pairs.add(place);
      }
      for (const created of pairs.takeNew()) offer(created);
    }
  }
}

interface Candidate {
  readonly pair: number;
  readonly text: string;
  /** In characters. */
  readonly length: number;
}

function precedes(a: Candidate, b: Candidate): boolean {
  return a.length !== b.length ? a.length < b.length : compareCodePoints(a.text, b.text) < 0;
}

/** Order of code points, which is that of UTF-8 bytes; JavaScript's own is that of UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  for (let at = 0; at < a.length && at < b.length; at++) {
    if (a.charCodeAt(at) !== b.charCodeAt(at)) return a.codePointAt(at)! - b.codePointAt(at)!;
  }
  return a.length - b.length;
}

interface SymbolTable {
  readonly texts: readonly string[];
  /** In characters. */
  readonly lengths: readonly number[];
  /** Whether it starts with a space, and whether it holds nothing else. */
  readonly spaced: readonly boolean[];
  readonly blank: readonly boolean[];
  create(text: string): number;
}

function symbolTable(space: string): SymbolTable {
  const texts: string[] = [];
  const lengths: number[] = [];
  const spaced: boolean[] = [];
  const blank: boolean[] = [];
  return {
    texts,
    lengths,
    spaced,
    blank,
    create(text) {
      texts.push(text);
      lengths.push(Array.from(text).length);
      spaced.push(text.startsWith(space));
      blank.push(text.replaceAll(space, "") === "");
      return texts.length - 1;
    },
  };
}

interface LaidOut {
  /** By place. */
  readonly symbolAt: Int32Array;
  /** Places of the neighbours within the word, or -1. */
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** How often the place's word occurs. */
  readonly weights: Float64Array;
}

function layOut(words: Iterable<readonly [readonly number[], number]>, symbols: SymbolTable): LaidOut {
  const byCode = new Map<number, number>();
  const kept: (readonly [readonly number[], number])[] = [];
  let size = 0;
  for (const word of words) {
    if (word[0].length < 2) continue;
    kept.push(word);
    size += word[0].length;
  }
  const symbolAt = new Int32Array(size);
  const next = new Int32Array(size);
  const previous = new Int32Array(size);
  const weights = new Float64Array(size);
  let place = 0;
  for (const [characters, count] of kept) {
    for (const [index, code] of characters.entries()) {
      const symbol = byCode.get(code) ?? symbols.create(String.fromCodePoint(code));
      byCode.set(code, symbol);
      symbolAt[place] = symbol;
      previous[place] = index === 0 ? -1 : place - 1;
      next[place] = index === characters.length - 1 ? -1 : place + 1;
      weights[place] = count;
      place++;
    }
  }
  return { symbolAt, next, previous, weights };
}

interface PairTable {
  /** Counts the pair of the place's symbol and its next one, if these may merge. */
  add(place: number): void;
  remove(place: number): void;
  /** The pair that is counted at a place, or -1. */
  at(place: number): number;
  /** How often it could merge; 0 once it is retired. */
  frequency(pair: number): number;
  /** Makes a pair count no more, and returns its places in order. */
  retire(pair: number): Int32Array;
  describe(pair: number): { text: string; length: number };
  /** Pairs that have come up since the last call. */
  takeNew(): number[];
}

function pairTable(
  { symbolAt, next, weights }: LaidOut,
  { texts, lengths, spaced, blank }: SymbolTable,
  most: number,
): PairTable {
  const pairAt = new Int32Array(symbolAt.length).fill(-1);
  const later = new Int32Array(symbolAt.length); // the places of a pair, as a list in both directions
  const earlier = new Int32Array(symbolAt.length);
  const lefts: number[] = [];
  const rights: number[] = [];
  const heads: number[] = [];
  const sums: number[] = []; // weights of all places; -1 for a retired pair
  const find = pairNumbers(lefts, rights);
  let created: number[] = [];

  const mayMerge = (left: number, right: number): boolean => {
    if (lengths[left]! + lengths[right]! > most) return false;
    if (spaced[right]) return blank[left]! && blank[right]!;
    return !(blank[left]! && lengths[left]! > 1); // a word has one space in front
  };
  const pairOf = (left: number, right: number): number => {
    if (!mayMerge(left, right)) return -1;
    const pair = find(left, right);
    if (pair === heads.length) {
      heads.push(-1);
      sums.push(0);
      created.push(pair);
    }
    return pair;
  };
  const placesOf = (pair: number): Int32Array => {
    const places: number[] = [];
    for (let place = heads[pair]!; place >= 0; place = later[place]!) places.push(place);
    return Int32Array.from(places).sort();
  };

  return {
    at: (place) => pairAt[place]!,
    add(place) {
      const right = next[place]!;
      const pair = right < 0 ? -1 : pairOf(symbolAt[place]!, symbolAt[right]!);
      if (pair < 0 || sums[pair]! < 0) return;
      pairAt[place] = pair;
      const head = heads[pair]!;
      later[place] = head;
      earlier[place] = -1;
      if (head >= 0) earlier[head] = place;
      heads[pair] = place;
      sums[pair]! += weights[place]!;
    },
    remove(place) {
      const pair = pairAt[place]!;
      if (pair < 0) return;
      pairAt[place] = -1;
      const [before, after] = [earlier[place]!, later[place]!];
      if (before >= 0) later[before] = after;
      else heads[pair] = after;
      if (after >= 0) earlier[after] = before;
      if (sums[pair]! >= 0) sums[pair]! -= weights[place]!;
    },
    frequency(pair) {
      if (lefts[pair] !== rights[pair] || sums[pair]! <= 0) return Math.max(0, sums[pair]!);
      // In "aaa" the pair "aa" could merge once, though it stands there twice.
      let sum = 0;
      let taken = -1;
      for (const place of placesOf(pair)) {
        if (place === taken) continue;
        sum += weights[place]!;
        taken = next[place]!;
      }
      return sum;
    },
    retire(pair) {
      sums[pair] = -1;
      return placesOf(pair);
    },
    describe(pair) {
      const [left, right] = [lefts[pair]!, rights[pair]!];
      return { text: texts[left]! + texts[right]!, length: lengths[left]! + lengths[right]! };
    },
    takeNew() {
      const result = created;
      created = [];
      return result;
    },
  };
}

/** Numbers pairs in the order in which they are first asked for, by a hash table with open addressing. */
function pairNumbers(lefts: number[], rights: number[]): (left: number, right: number) => number {
  let slots = new Int32Array(1 << 16).fill(-1);
  const slotOf = (left: number, right: number): number => {
    const mask = slots.length - 1;
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 7;
    for (slot &= mask; ; slot = (slot + 1) & mask) {
      const pair = slots[slot]!;
      if (pair < 0 || (lefts[pair] === left && rights[pair] === right)) return slot;
    }
  };
  return (left, right) => {
    const slot = slotOf(left, right);
    if (slots[slot]! >= 0) return slots[slot]!;
    const pair = lefts.length;
    lefts.push(left);
    rights.push(right);
    slots[slot] = pair;
    if (2 * pair > slots.length) {
      slots = new Int32Array(2 * slots.length).fill(-1);
      for (let old = 0; old <= pair; old++) slots[slotOf(lefts[old]!, rights[old]!)] = old;
    }
    return pair;
  };
}
