// The kernels' images: code for the cards there are (cubins), and PTX, which a driver compiles for those that came
// later. The cubins were made by CUDA 13 and load with drivers of 13.0 or later; older ones get the PTX, which is kept
// at a version that drivers since 11.8 know. An archive holds all kernels for one target, compressed with Brotli, which
// finds what they have in common: a 32-bit length, a JSON table, and the images.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { PolyllamaError } from "@polyllama/core";

/** Compute capabilities that have cubins. */
export const cubinTargets: readonly number[] = [75, 80, 86, 89, 90, 100, 120];
/**
 * Architectures that PTX is made for; later cards compile it too. Tensor cores as 8.0 has them are the last thing that
 * kernels use.
 */
export const ptxTargets: readonly number[] = [75, 80];

/** Drivers from this version on load cubins. */
const cubinDriver = 13000;

/** What is written about an archive in its table. */
export interface ImageTable {
  /** Hash of each kernel's sources and flags. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Where each kernel's image lies: offset and length. */
  readonly places: Readonly<Record<string, readonly [number, number]>>;
}

export interface ImageArchive extends ImageTable {
  readonly target: string;
  image(kernel: string): Uint8Array;
}

export const imageFolder: string = fileURLToPath(new URL("../../images/", import.meta.url));

/**
 * The archive for a card: cubins of its own generation, the nearest that is not newer, or else PTX.
 *
 * @throws {PolyllamaError} `ERR_UNSUPPORTED` for cards below compute capability 7.5.
 */
export function imageTarget(driverVersion: number, capability: number): string {
  if (capability < 75) {
    throw new PolyllamaError(
      "ERR_UNSUPPORTED",
      `The card has compute capability ${capability / 10}; 7.5 (Turing) is the least. Choose another backend.`,
    );
  }
  const fits = (target: number): boolean =>
    target <= capability && Math.floor(target / 10) === Math.floor(capability / 10);
  const cubin = cubinTargets.filter(fits).at(-1);
  if (driverVersion >= cubinDriver && cubin !== undefined) return `sm_${cubin}`;
  return `compute_${ptxTargets.filter((target) => target <= capability).at(-1)}`;
}

/** @throws {PolyllamaError} `ERR_BACKEND` where the archive is missing or damaged. */
export function readImages(folder: string, target: string): ImageArchive {
  const path = `${folder}/${target}.br`;
  let bytes: Uint8Array;
  try {
    bytes = brotliDecompressSync(readFileSync(path));
  } catch (cause) {
    throw new PolyllamaError("ERR_BACKEND", `The kernels at ${path} cannot be read. Install the package again.`, {
      cause,
    });
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  // written by packImages
  const table = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as ImageTable;
  return {
    ...table,
    target,
    image(kernel) {
      const place = table.places[kernel];
      if (place === undefined) throw new PolyllamaError("ERR_BACKEND", `${path} has no kernel ${kernel}.`);
      const start = 4 + length + place[0];
      const image = new Uint8Array(place[1] + 1); // a zero ends PTX
      image.set(bytes.subarray(start, start + place[1]));
      return image;
    },
  };
}

/** The bytes of an archive, before compression. */
export function packImages(
  images: ReadonlyMap<string, { readonly hash: string; readonly bytes: Uint8Array }>,
): Uint8Array {
  const places: Record<string, readonly [number, number]> = {};
  const hashes: Record<string, string> = {};
  let offset = 0;
  for (const [name, { hash, bytes }] of images) {
    places[name] = [offset, bytes.length];
    hashes[name] = hash;
    offset += bytes.length;
  }
  const table = new TextEncoder().encode(JSON.stringify({ hashes, places } satisfies ImageTable));
  const result = new Uint8Array(4 + table.length + offset);
  new DataView(result.buffer).setUint32(0, table.length, true);
  result.set(table, 4);
  for (const [name, { bytes }] of images) result.set(bytes, 4 + table.length + places[name]![0]);
  return result;
}
