// What a packed file holds, as far as the folders know: so many bytes, of which some are under checksums, that depend on
// a checkpoint and on what a backend made of it.

/** Bytes of a packed file. */
export interface PackedRange {
  /** For people. */
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

/** A packed file, which a backend makes of a checkpoint. */
export interface PackedContent {
  /** Name of the checkpoint. */
  readonly source: string;
  /** A hash of all that the bytes depend on; name of the entry. */
  readonly key: string;
  /** Raised by a backend when its packed bytes change. */
  readonly packingVersion: number;
  /** Size of the file. */
  readonly bytes: number;
  /** What is under checksums, in their order. */
  readonly ranges: readonly PackedRange[];
}

/** Name of the packed file within its folder. */
export const packedFile = "weights.bin";

/** Bytes under one checksum. Blocks count from the start of their range. */
export const checksumBlock: number = 1 << 20;

/** Hexadecimal digits of a checksum. */
export const checksumDigits = 16;

/** A checksum of 64 bits as manifests have it. */
export function checksumText(value: bigint): string {
  return value.toString(16).padStart(checksumDigits, "0");
}
