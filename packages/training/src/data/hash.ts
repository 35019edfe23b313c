// Hashes of text that are the same on every machine and in every engine: murmur3's mixing over UTF-16 units. They find
// texts again and spread them evenly; they keep no secret.

/** Scrambles 32 bits so that each one depends on all others. */
export function mix32(bits: number): number {
  let h = bits;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of a part of a text, 32 bits. */
export function hash32(text: string, seed: number, start = 0, end: number = text.length): number {
  let h = seed;
  for (let at = start; at < end; at++) {
    let k = Math.imul(text.charCodeAt(at), 0xcc9e2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    h ^= k;
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  return mix32(h ^ (end - start));
}

/** Hash of a text, as 32 hexadecimal digits. */
export function textHash(text: string): string {
  const lanes = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]; // the first digits of pi
  return lanes.map((seed) => hash32(text, seed).toString(16).padStart(8, "0")).join("");
}
