// Byte-pair merging, the part that SentencePiece and Hugging Face share: symbols in a row, and rules that merge two
// neighbours. The best rule goes first, among equals the leftmost. A heap holds the merges that were possible when they
// were found; one whose symbols have changed since is skipped when it comes up. Symbols form a linked list, so a text
// of n symbols takes O(n log n).

export interface MergeRules {
  /**
   * Number of the rule that merges two neighbouring symbols, or -1. Two different pairs that could stand at one place
   * have two different rules: by that an outdated candidate is told from a valid one.
   */
  find(left: number, right: number): number;
  /** Carries a merge out: the left symbol becomes the whole, the right one is no more. */
  merge(left: number, right: number, rule: number): void;
  /** By rule; the largest goes first. */
  readonly priorities: ArrayLike<number>;
}

/**
 * Merges the symbols 0 .. count-1 until no rule applies.
 *
 * @returns for each remaining symbol the next one, -1 after the last; the first is always 0.
 */
export function mergeSymbols(count: number, rules: MergeRules): Int32Array {
  const next = new Int32Array(count).map((_, i) => (i + 1 < count ? i + 1 : -1));
  const previous = new Int32Array(count).map((_, i) => i - 1);
  const applicable = new Int32Array(count).fill(-1); // by symbol: the rule that merges it with its next one
  const heap = candidateHeap(2 * count, rules.priorities);

  const consider = (left: number): void => {
    const right = next[left]!;
    const rule = right < 0 ? -1 : rules.find(left, right);
    applicable[left] = rule;
    if (rule >= 0) heap.push(rule, left);
  };

  for (let symbol = 0; symbol + 1 < count; symbol++) consider(symbol);
  while (heap.pop()) {
    const { rule, symbol: left } = heap.top;
    if (applicable[left] !== rule) continue;
    const right = next[left]!;
    rules.merge(left, right, rule);
    applicable[right] = -1;
    const after = next[right]!;
    next[left] = after;
    if (after >= 0) previous[after] = left;
    if (previous[left]! >= 0) consider(previous[left]!);
    consider(left);
  }
  return next;
}

interface CandidateHeap {
  /** What the last successful `pop` took out. */
  readonly top: { rule: number; symbol: number };
  push(rule: number, symbol: number): void;
  /** @returns false when there was nothing left. */
  pop(): boolean;
}

/** Each merge takes one candidate out and puts at most two in, so `capacity` = 2 n is enough. */
function candidateHeap(capacity: number, priorities: ArrayLike<number>): CandidateHeap {
  const ruleAt = new Int32Array(capacity);
  const symbolAt = new Int32Array(capacity);
  const top = { rule: -1, symbol: -1 };
  let size = 0;

  const precedes = (rule: number, symbol: number, slot: number): boolean => {
    const difference = priorities[rule]! - priorities[ruleAt[slot]!]!;
    return difference > 0 || (!(difference < 0) && symbol < symbolAt[slot]!);
  };
  const put = (slot: number, rule: number, symbol: number): void => {
    ruleAt[slot] = rule;
    symbolAt[slot] = symbol;
  };

  return {
    top,
    push(rule, symbol) {
      let slot = size++;
      while (slot > 0) {
        const parent = (slot - 1) >> 1;
        if (!precedes(rule, symbol, parent)) break;
        put(slot, ruleAt[parent]!, symbolAt[parent]!);
        slot = parent;
      }
      put(slot, rule, symbol);
    },
    pop() {
      if (size === 0) return false;
      top.rule = ruleAt[0]!;
      top.symbol = symbolAt[0]!;
      size--;
      const rule = ruleAt[size]!;
      const symbol = symbolAt[size]!;
      let slot = 0;
      for (let child = 1; child < size; child = 2 * slot + 1) {
        if (child + 1 < size && precedes(ruleAt[child + 1]!, symbolAt[child + 1]!, child)) child++;
        if (precedes(rule, symbol, child)) break;
        put(slot, ruleAt[child]!, symbolAt[child]!);
        slot = child;
      }
      put(slot, rule, symbol);
      return true;
    },
  };
}
