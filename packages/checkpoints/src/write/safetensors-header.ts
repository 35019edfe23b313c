// The header of a safetensors file that is written: an 8-byte length and a JSON table, padded so that what follows is
// aligned.

/** A tensor as the header lists it. */
export interface HeaderEntry {
  readonly name: string;
  /** As the format spells it: F32. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** A header, and where each tensor starts in the file, whose size is the whole of it. */
export interface SafetensorsLayout {
  readonly header: Uint8Array;
  readonly offsets: readonly number[];
  readonly size: number;
}

/** Lays tensors out one behind the other, in their order. */
export function layOut(
  tensors: readonly HeaderEntry[],
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): SafetensorsLayout {
  const table: Record<string, object> = { __metadata__: metadata };
  const relative: number[] = [];
  let end = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    table[name] = { dtype, shape, data_offsets: [end, end + bytes] };
    relative.push(end);
    end += bytes;
  }
  const text = new TextEncoder().encode(JSON.stringify(table));
  const length = Math.ceil(text.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return { header, offsets: relative.map((offset) => header.length + offset), size: header.length + end };
}
