// `npm run build:kernels`: compiles all kernels with nvcc and ptxas into images/, where the package keeps them. A
// kernel becomes PTX once; the PTX becomes code for every card, and is kept itself, rewritten to ISA 7.8, for drivers
// and cards that have no code. Kernels that spill registers are refused, and so are structs that differ from what the
// host writes (kernel-structs.ts). What was compiled before is taken from a cache by the hash of its sources. With `--
// --asserts-only` no more is written than the headers in src/kernels/asserts/, which the emulation needs too.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, constants } from "node:zlib";
import { cubinTargets, imageFolder, packImages, ptxTargets } from "../src/driver/images.ts";
import { cardFlags, type KernelSource, kernelSources, sourceHash } from "./kernel-list.ts";
import { writeAssertHeaders } from "./kernel-structs.ts";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../.cache/kernels/", import.meta.url));
/** The version of PTX that drivers since CUDA 11.8 read. */
const isa = "7.8";

interface Hashed extends KernelSource {
  readonly hash: string;
}

const pathOf = ({ name, hash }: Hashed, extension: string): string => join(cache, `${name}-${hash}.${extension}`);

async function compile(kernel: Hashed): Promise<void> {
  const path = pathOf(kernel, "ptx");
  if (existsSync(path)) return;
  const defines = [...kernel.defines, `POLYLLAMA_HASH="${kernel.hash}"`].map((define) => `-D${define}`);
  await run("nvcc", [
    ...cardFlags,
    "-ptx",
    `-arch=compute_${kernel.least}`,
    ...defines,
    kernel.path,
    "-o",
    `${path}.tmp`,
  ]);
  // The last pragma, a hint, came with ISA 8.3.
  const text = readFileSync(`${path}.tmp`, "utf8")
    .replace(/^\/\/.*\n/gm, "")
    .replace(/^\.version \d+\.\d+$/m, `.version ${isa}`)
    .replace(/^\s*\.pragma "used_bytes_mask[^\n]*\n/gm, "");
  writeFileSync(path, `${text}// polyllama-kernel:${kernel.name}:${kernel.hash}:\n`);
  rmSync(`${path}.tmp`);
}

const spilling: string[] = [];

async function assemble(kernel: Hashed, target: number): Promise<void> {
  const path = pathOf(kernel, `sm_${target}`);
  if (existsSync(path)) return;
  const command = ["-v", `-arch=sm_${target}`, pathOf(kernel, "ptx"), "-o", `${path}.tmp`];
  const { stdout, stderr } = await run("ptxas", command);
  if (/[1-9]\d* bytes spill/.test(`${stdout}${stderr}`)) {
    spilling.push(`${kernel.name} on sm_${target}`);
    return;
  }
  renameSync(`${path}.tmp`, path);
}

/** Three at a time. */
async function forAll(what: string, list: readonly Hashed[], action: (kernel: Hashed) => Promise<void>): Promise<void> {
  const queue = [...list];
  const worker = async (): Promise<void> => {
    for (let kernel = queue.shift(); kernel !== undefined; kernel = queue.shift()) {
      await action(kernel);
      console.log(`${what} ${kernel.name}, ${queue.length} to go`);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
}

/** Those that a card of this capability runs. */
const kernelsFor = (target: number): readonly Hashed[] => kernels.filter(({ least }) => least <= target);

function write(target: string, list: readonly Hashed[], extension: string): void {
  const images = new Map(
    list.map((kernel) => [kernel.name, { hash: kernel.hash, bytes: readFileSync(pathOf(kernel, extension)) }]),
  );
  const bytes = packImages(images);
  const packed = brotliCompressSync(bytes, {
    params: {
      // a fifth smaller than 9, in ten seconds instead of one; 11 saves little more
      [constants.BROTLI_PARAM_QUALITY]: 10,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  writeFileSync(join(imageFolder, `${target}.br`), packed);
  console.log(`${target}: ${bytes.length} bytes, ${packed.length} compressed`);
}

writeAssertHeaders();
if (process.argv.includes("--asserts-only")) process.exit();
mkdirSync(cache, { recursive: true });
mkdirSync(imageFolder, { recursive: true });
const kernels: readonly Hashed[] = kernelSources()
  .map((kernel) => ({ ...kernel, hash: sourceHash(kernel, cardFlags) }))
  .sort((a, b) => (a.name < b.name ? -1 : 1));
await forAll("PTX of", kernels, compile);
for (const target of ptxTargets) write(`compute_${target}`, kernelsFor(target), "ptx");
for (const target of cubinTargets) {
  await forAll(`sm_${target} of`, kernelsFor(target), (kernel) => assemble(kernel, target));
  if (spilling.length > 0) throw new Error(`These kernels spill registers: ${spilling.join(", ")}.`);
  write(`sm_${target}`, kernelsFor(target), `sm_${target}`);
}
