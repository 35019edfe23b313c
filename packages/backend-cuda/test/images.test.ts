// The committed images belong to the sources beside them, and the right ones are chosen. Whether they compute rightly
// only a card can say.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cardFlags, kernelSources, sourceHash } from "../scripts/kernel-list.ts";
import { cubinTargets, imageFolder, imageTarget, ptxTargets, readImages } from "../src/driver/images.ts";

const targets = [
  ...cubinTargets.map((target) => ["sm", target] as const),
  ...ptxTargets.map((target) => ["compute", target] as const),
];

describe.each(targets)("images for %s_%i", (kind, capability) => {
  const archive = readImages(imageFolder, `${kind}_${capability}`);
  const kernels = kernelSources().filter(({ least }) => least <= capability);
  test("are made of these sources, by these flags", () => {
    const expected = Object.fromEntries(kernels.map((kernel) => [kernel.name, sourceHash(kernel, cardFlags)]));
    expect(archive.hashes).toEqual(expected); // if not: npm run build:kernels
  });
  test("carry that in themselves", () => {
    for (const { name, least } of kernels) {
      const image = Buffer.from(archive.image(name));
      expect(image.includes(`polyllama-kernel:${name}:${archive.hashes[name]}:`), name).toBe(true);
      if (kind === "sm") expect(image.subarray(0, 4)).toEqual(Buffer.from("\x7fELF"));
      else expect(image.toString("latin1")).toMatch(new RegExp(`^\\s*\\.version 7\\.8\\s+\\.target sm_${least}\\b`));
    }
  });
});

test("a card gets code of its generation, and older drivers and newer cards the highest PTX that fits", () => {
  expect(imageTarget(13000, 90)).toBe("sm_90");
  expect(imageTarget(13000, 87)).toBe("sm_86");
  expect(imageTarget(13000, 121)).toBe("sm_120");
  expect(imageTarget(12080, 90)).toBe("compute_80");
  expect(imageTarget(12080, 80)).toBe("compute_80");
  expect(imageTarget(11080, 75)).toBe("compute_75");
  expect(imageTarget(13000, 130)).toBe("compute_80");
  expect(() => imageTarget(13000, 70)).toThrow(/7\.5/);
});

function hasPtxas(): boolean {
  try {
    execFileSync("ptxas", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasPtxas())("the PTX (not run without ptxas)", () => {
  test.each([
    ["attention_rows", 75],
    ["attention_split", 75],
    ["gemv_q4_0", 75],
    ["sample", 75],
    ["gemm_mma_f16", 80],
    ["gemm_mma_q5_k", 80],
  ])("%s assembles for sm_%i without spilled registers", { timeout: 120_000 }, (name, target) => {
    const folder = mkdtempSync(join(tmpdir(), "polyllama-ptx-"));
    const path = join(folder, "kernel.ptx");
    writeFileSync(path, readImages(imageFolder, `compute_${target}`).image(name).subarray(0, -1));
    const command = ["-v", `-arch=sm_${target}`, path, "-o", join(folder, "kernel.cubin")];
    const output = execFileSync("sh", ["-c", '"$0" "$@" 2>&1', "ptxas", ...command], { encoding: "utf8" });
    expect(output).toMatch(/Used \d+ registers/);
    expect(output).not.toMatch(/[1-9]\d* bytes spill/);
    rmSync(folder, { recursive: true });
  });
});
