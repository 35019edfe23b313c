// Other programs, imitated by shell scripts: their findings are read, and their failures are reasons.

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runTorch, sanitize, type TorchResult, torchMissing } from "../src/programs.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyllama-gpu-check-"));
});
afterAll(() => rm(folder, { recursive: true }));

const { signal } = new AbortController();

test("other programs: their findings are read, and their failures are reasons", async () => {
  const program = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${text}\n`);
    await chmod(path, 0o755);
    return path;
  };
  const limits = { seconds: 10, signal };
  const clean = await program("clean", 'echo "========= ERROR SUMMARY: 0 errors"');
  expect(await sanitize(clean, [], limits)).toMatchObject({ errors: 0 });
  const found = await program(
    "found",
    'echo "========= Invalid read"; echo "========= ERROR SUMMARY: 2 errors"; exit 1',
  );
  expect(await sanitize(found, [], limits)).toMatchObject({ errors: 2, summary: /Invalid read/ });
  const broken = await program("broken", "echo no device >&2; exit 1");
  expect(await sanitize(broken, [], limits)).toEqual({ notRun: "it ended without a summary: no device" });
  const slow = await program("slow", "exec sleep 30");
  expect(await sanitize(slow, [], { seconds: 0.2, signal })).toEqual({ notRun: "it took too long" });

  expect(await torchMissing(broken, limits)).toBe("no device");
  const torch = await program("torch", 'echo warning; echo \'{"torch":"2","transformers":"4","measurements":[]}\'');
  expect(await torchMissing(torch, limits)).toBeUndefined();
  expect(await runTorch(torch, limits)).toEqual({ torch: "2", transformers: "4", measurements: [] });
  const endless = await program(
    "endless",
    'echo \'{"torch":"2","transformers":"4","measurements":[{"mode":"eager","what":"prefill 8","value":3}]}\'; exec sleep 30',
  );
  // not the reason, as it printed some
  const { measurements } = (await runTorch(endless, { seconds: 0.5, signal })) as TorchResult;
  expect(measurements.map(({ what, notRun }) => [what, notRun])).toEqual([
    ["prefill 8", undefined],
    ["the rest", "it took too long"],
  ]);
});
