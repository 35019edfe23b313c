// SHA-256 (FIPS 180-4) of a stream. WebCrypto only digests what is in memory as a whole, which a checkpoint is not.

const constants = new Uint32Array(64);
const initial = new Uint32Array(8);
{
  // The first 32 bits of the fractional parts of cube roots and square roots of the first primes.
  const fraction = (root: number): number => Math.floor((root - Math.floor(root)) * 2 ** 32);
  let count = 0;
  for (let n = 2; count < 64; n++) {
    let prime = true;
    for (let i = 2; i * i <= n; i++) if (n % i === 0) prime = false;
    if (!prime) continue;
    constants[count] = fraction(Math.cbrt(n));
    if (count < 8) initial[count] = fraction(Math.sqrt(n));
    count++;
  }
}

export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** In hexadecimal; to be called once. */
  digest(): string;
}

export function createSha256(): Sha256 {
  const state = initial.slice();
  const words = new Uint32Array(64);
  const rest = new Uint8Array(64);
  let filled = 0;
  let total = 0;

  function compress(bytes: Uint8Array, offset: number): void {
    for (let t = 0; t < 16; t++) {
      const at = offset + 4 * t;
      words[t] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let t = 16; t < 64; t++) {
      const x = words[t - 15]!;
      const y = words[t - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[t] = words[t - 16]! + s0 + words[t - 7]! + s1;
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]; // eight elements
    for (let t = 0; t < 64; t++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[t]! + words[t]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = state[i]! + value;
  }

  return {
    update(bytes) {
      total += bytes.length;
      let at = 0;
      if (filled > 0) {
        at = Math.min(64 - filled, bytes.length);
        rest.set(bytes.subarray(0, at), filled);
        filled += at;
        if (filled < 64) return;
        compress(rest, 0);
      }
      for (; at + 64 <= bytes.length; at += 64) compress(bytes, at);
      filled = bytes.length - at;
      rest.set(bytes.subarray(at));
    },
    digest() {
      rest.fill(0, filled);
      rest[filled] = 0x80;
      if (filled >= 56) {
        compress(rest, 0);
        rest.fill(0);
      }
      new DataView(rest.buffer).setBigUint64(56, BigInt(total) * 8n);
      compress(rest, 0);
      return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("");
    },
  };
}
