// `npm run build:kernels`: compiles all kernels with nvcc and ptxas into images/, where the package keeps them. A kernel becomes PTX
// once; the PTX becomes code for every card, and is kept itself, rewritten to ISA 7.8, for drivers and cards that have no code.
// Kernels that spill registers are refused. What was compiled before is taken from a cache by the hash of its sources.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, constants } from "node:zlib";
import { cubinTargets, imageFolder, packImages, ptxTargets } from "../src/driver/images.ts";
import { cardFlags, type KernelSource, kernelSources, sourceHash } from "./kernel-list.ts";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../.cache/kernels/", import.meta.url));
/** The version of PTX that drivers since CUDA 11.8 read. */
const isa = "7.8";

interface Compiled {
  readonly name: string;
  readonly hash: string;
  /** By target. */
  readonly images: ReadonlyMap<string, Uint8Array>;
}

async function compileKernel(kernel: KernelSource): Promise<Compiled> {
  const hash = sourceHash(kernel, cardFlags);
  const at = (extension: string): string => join(cache, `${kernel.name}-${hash}.${extension}`);
  if (!existsSync(at("ptx"))) {
    const defines = [...kernel.defines, `POLYLLAMA_HASH="${hash}"`].map((define) => `-D${define}`);
    await run("nvcc", [
      ...cardFlags,
      "-ptx",
      `-arch=compute_${ptxTargets[0]}`,
      ...defines,
      kernel.path,
      "-o",
      at("tmp"),
    ]);
    const text = readFileSync(at("tmp"), "utf8").replace(/^\/\/.*\n/gm, "");
    // This pragma, a hint, came with ISA 8.3.
    const rewritten = text
      .replace(/^\.version \d+\.\d+$/m, `.version ${isa}`)
      .replace(/^\s*\.pragma "used_bytes_mask[^\n]*\n/gm, "");
    writeFileSync(at("ptx"), `${rewritten}// polyllama-kernel:${kernel.name}:${hash}:\n`);
    rmSync(at("tmp"));
  }
  const images = new Map<string, Uint8Array>();
  for (const target of ptxTargets) images.set(`compute_${target}`, readFileSync(at("ptx")));
  for (const target of cubinTargets) {
    const path = at(`sm_${target}`);
    if (!existsSync(path)) {
      const { stdout, stderr } = await run("ptxas", ["-v", `-arch=sm_${target}`, at("ptx"), "-o", `${path}.tmp`]);
      const spills = `${stdout}${stderr}`.match(/[1-9]\d* bytes spill/);
      if (spills !== null) throw new Error(`${kernel.name} spills registers on sm_${target}: ${stderr}`);
      writeFileSync(path, readFileSync(`${path}.tmp`));
      rmSync(`${path}.tmp`);
    }
    images.set(`sm_${target}`, readFileSync(path));
  }
  return { name: kernel.name, hash, images };
}

mkdirSync(cache, { recursive: true });
mkdirSync(imageFolder, { recursive: true });
const queue = [...kernelSources()];
const compiled: Compiled[] = [];
const worker = async (): Promise<void> => {
  for (let kernel = queue.shift(); kernel !== undefined; kernel = queue.shift()) {
    compiled.push(await compileKernel(kernel));
    console.log(`${kernel.name}, ${queue.length} to go`);
  }
};
await Promise.all([worker(), worker()]);
compiled.sort((a, b) => (a.name < b.name ? -1 : 1));
for (const target of [...cubinTargets.map((sm) => `sm_${sm}`), ...ptxTargets.map((sm) => `compute_${sm}`)]) {
  const bytes = packImages(
    new Map(compiled.map(({ name, hash, images }) => [name, { hash, bytes: images.get(target)! }])),
  );
  const packed = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 9,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  writeFileSync(join(imageFolder, `${target}.br`), packed);
  console.log(`${target}: ${bytes.length} bytes, ${packed.length} compressed`);
}
