// What a shared library of Linux asks of the program that loads it, read from its dynamic section.

export interface ElfNeeds {
  /** "x64", "arm64", or the number of another machine. */
  readonly machine: string;
  /** Libraries that it names. */
  readonly libraries: readonly string[];
  /** Versions of symbols that it names, such as "GLIBC_2.28". */
  readonly versions: readonly string[];
  /** Symbols that it does not define. */
  readonly undefined: readonly string[];
  /** Symbols that it defines for others. */
  readonly defined: readonly string[];
}

const machines: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };
const tag = { needed: 1, stringTable: 5, symbolTable: 6, versionNeeds: 0x6ffffffe, versionNeedCount: 0x6fffffff };

/** @throws {Error} where the bytes are no shared library of 64 bits. */
export function elfNeeds(bytes: Uint8Array): ElfNeeds {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u16 = (at: number): number => view.getUint16(at, true);
  const u32 = (at: number): number => view.getUint32(at, true);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  if (u32(0) !== 0x464c457f || bytes[4] !== 2 || u16(16) !== 3) throw new Error("no shared library of 64 bits");

  const segments = Array.from({ length: u16(56) }, (_, i) => u64(32) + u16(54) * i);
  /** Where an address lies in the file. */
  const place = (address: number): number => {
    const segment = segments.find(
      (at) => u32(at) === 1 && address >= u64(at + 16) && address < u64(at + 16) + u64(at + 32),
    );
    if (segment === undefined) throw new Error(`no bytes for address ${address}`);
    return address - u64(segment + 16) + u64(segment + 8);
  };
  const dynamic = segments.find((at) => u32(at) === 2);
  if (dynamic === undefined) throw new Error("no dynamic section");
  const entries: (readonly [number, number])[] = [];
  for (let at = u64(dynamic + 8); u64(at) !== 0; at += 16) entries.push([u64(at), u64(at + 8)]);
  const entry = (wanted: number): number | undefined => entries.find(([found]) => found === wanted)?.[1];
  const strings = place(entry(tag.stringTable) ?? 0);
  const text = (at: number): string => {
    const start = strings + at;
    return new TextDecoder().decode(bytes.subarray(start, bytes.indexOf(0, start)));
  };

  const defined: string[] = [];
  const missing: string[] = [];
  const sections = Array.from({ length: u16(60) }, (_, i) => u64(40) + u16(58) * i);
  const dynamicSymbols = sections.find((at) => u32(at + 4) === 11);
  if (dynamicSymbols === undefined) throw new Error("no dynamic symbols");
  const symbols = u64(dynamicSymbols + 24);
  for (let at = symbols + 24; at < symbols + u64(dynamicSymbols + 32); at += 24) {
    (u16(at + 6) === 0 ? missing : defined).push(text(u32(at)));
  }

  const versions: string[] = [];
  let need = entry(tag.versionNeeds);
  need = need === undefined ? undefined : place(need);
  for (let i = 0; need !== undefined && i < (entry(tag.versionNeedCount) ?? 0); i++) {
    let at = need + u32(need + 8);
    for (let j = 0; j < u16(need + 2); j++) {
      versions.push(text(u32(at + 8)));
      at += u32(at + 12);
    }
    need += u32(need + 12);
  }
  return {
    machine: machines[u16(18)] ?? String(u16(18)),
    libraries: entries.filter(([found]) => found === tag.needed).map(([, at]) => text(at)),
    versions,
    undefined: missing,
    defined,
  };
}
