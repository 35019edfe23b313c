// Where text falls apart. Merging can only join two characters that stand side by side in some piece; between any
// others there is a boundary, whatever stands around it. So a text is cut at such places and each word is encoded by
// itself, which gives the same ids and lets them be remembered.

/** Bits of the filter: a power of two that keeps it in a processor's second-level cache. */
const bits = 1 << 20;

/**
 * Tells whether two UTF-16 units may stand within one piece. Never false for two that do; true by accident for a few
 * that do not, which costs time only. The halves of a surrogate pair always stand together.
 */
export function neighbours(pieces: Iterable<string>): (left: number, right: number) => boolean {
  const filter = new Int32Array(bits / 32);
  const slot = (left: number, right: number): number =>
    (Math.imul((left << 16) | right, 0x9e3779b1) >>> 12) & (bits - 1);
  for (const piece of pieces) {
    for (let at = 1; at < piece.length; at++) {
      const place = slot(piece.charCodeAt(at - 1), piece.charCodeAt(at));
      filter[place >>> 5]! |= 1 << (place & 31);
    }
  }
  return (left, right) => {
    if ((left & 0xfc00) === 0xd800) return true;
    const place = slot(left, right);
    return ((filter[place >>> 5]! >>> (place & 31)) & 1) !== 0;
  };
}
