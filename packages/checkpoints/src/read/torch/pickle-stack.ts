// What a pickle's program works on: a stack with marks, and values that are remembered by number.

import type { PickleBytes } from "./pickle-bytes.ts";
import { isKind, kindOf, type Value } from "./pickle-values.ts";

/** Values that one pickle may build: far above any checkpoint's, and little memory. */
const mostValues = 2 ** 18;

export interface PickleStack {
  /** Counts values that are built beside the stack. */
  count(values: number): void;
  push(value: Value): void;
  pop(): Value;
  /** The top, which stays. */
  peek(): Value;
  mark(): void;
  /** All above the last mark. */
  popMarked(): Value[];
  /** The topmost so many, the top last. */
  several(count: number): Value[];
  /** Remembers the top, by default by the next number. */
  remember(key?: number): void;
  /** Pushes what was remembered. */
  recall(key: number): void;
  /** Appends to the list at the top. */
  append(items: readonly Value[]): void;
  /** Keys and values in turn, into the dict at the top. */
  setItems(items: readonly Value[]): void;
  isEmpty(): boolean;
}

/** An empty stack, which fails as `bytes` do. */
export function pickleStack({ fail }: Pick<PickleBytes, "fail">): PickleStack {
  const stack: Value[] = [];
  const marks: number[] = [];
  const memo = new Map<number, Value>();
  let built = 0;
  const count = (values: number): void => {
    built += values;
    if (built > mostValues) fail(`more than ${mostValues} values`);
  };
  const push = (value: Value): void => {
    count(1);
    stack.push(value);
  };
  const floor = (): number => marks.at(-1) ?? 0;
  const peek = (): Value => (stack.length > floor() ? stack.at(-1)! : fail("nothing is left on the stack"));
  return {
    count,
    push,
    pop: () => (stack.length > floor() ? stack.pop()! : fail("nothing is left on the stack")),
    peek,
    mark() {
      if (marks.length >= mostValues) fail("marks are nested too deep");
      marks.push(stack.length);
    },
    popMarked: () => stack.splice(marks.pop() ?? fail("a mark is missing")),
    several(count) {
      if (stack.length - floor() < count) fail("nothing is left on the stack");
      return stack.splice(stack.length - count);
    },
    remember(key = memo.size) {
      if (memo.size > mostValues) fail(`more than ${mostValues} memoized values`);
      memo.set(key, peek());
    },
    recall: (key) => push(memo.get(key) ?? (memo.has(key) ? null : fail(`${key} was not memoized`))),
    append(items) {
      const list = peek();
      if (isKind(list, "list")) for (const item of items) list.items.push(item);
      else if (!isKind(list, "aside")) fail(`a ${kindOf(list)} is appended to`);
    },
    setItems(items) {
      const dict = peek();
      if (isKind(dict, "dict") && items.length % 2 === 0) {
        for (let i = 0; i < items.length; i += 2) dict.entries.push([items[i]!, items[i + 1]!]);
      } else if (!isKind(dict, "aside")) fail(`items are set of a ${kindOf(dict)}`);
    },
    isEmpty: () => stack.length === 0 && marks.length === 0,
  };
}
