// A binary heap: what precedes all others is taken out first.

export interface Heap<T> {
  push(item: T): void;
  pop(): T | undefined;
}

export function heap<T>(precedes: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = [];
  return {
    push(item) {
      let slot = items.length;
      items.push(item);
      while (slot > 0) {
        const parent = (slot - 1) >> 1;
        if (!precedes(item, items[parent]!)) break;
        items[slot] = items[parent]!;
        slot = parent;
      }
      items[slot] = item;
    },
    pop() {
      const first = items[0];
      const last = items.pop();
      if (last === undefined || items.length === 0) return first;
      let slot = 0;
      for (let child = 1; child < items.length; child = 2 * slot + 1) {
        if (child + 1 < items.length && precedes(items[child + 1]!, items[child]!)) child++;
        if (!precedes(items[child]!, last)) break;
        items[slot] = items[child]!;
        slot = child;
      }
      items[slot] = last;
      return first;
    },
  };
}
