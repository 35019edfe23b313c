// Watches what buffers a parser asks for: the constructors of buffers and arrays are replaced by ones that note the
// largest length. A length that a file merely declares shows here, however soon what it allocates is dropped again.

/** Bytes of the largest buffer or array since `watch`. */
export interface Buffers {
  readonly largest: number;
}

const names = [
  "ArrayBuffer",
  "Array",
  "Uint8Array",
  "Int8Array",
  "Uint16Array",
  "Int16Array",
  "Uint32Array",
  "Int32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
] as const;

let largest = 0;
let isInstalled = false;

/** Starts to count anew. */
export function watch(): Buffers {
  if (!isInstalled) install();
  isInstalled = true;
  largest = 0;
  return {
    get largest() {
      return largest;
    },
  };
}

function install(): void {
  const globals = globalThis as unknown as Record<string, new (...values: unknown[]) => object>; // by name
  for (const name of names) {
    const original = globals[name]!;
    const bytes = "BYTES_PER_ELEMENT" in original ? Number(original.BYTES_PER_ELEMENT) : name === "Array" ? 8 : 1;
    globals[name] = new Proxy(original, {
      construct(target, values, newTarget) {
        // A length, and not an array, an iterable or a buffer that is there already.
        if (typeof values[0] === "number") largest = Math.max(largest, bytes * values[0]);
        return Reflect.construct(target, values, newTarget);
      },
    });
  }
}
