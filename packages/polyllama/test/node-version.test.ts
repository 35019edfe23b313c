// An old Node hears which one is needed, from the library and from both programs.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const pretend = "Object.defineProperty(process.versions, 'node', { value: '18.20.4' });";

test.each(["../src/node-version.ts", "../bin/polyllama.js", "../../cli/bin/polyllama.js"])("%s", async (file) => {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const program = `${pretend} await import(${JSON.stringify(path)});`;
  const ended = run(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    cwd: fileURLToPath(new URL("../../..", import.meta.url)),
    timeout: 110_000,
  });
  await expect(ended).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining("needs Node 20.19 or later; this is 18.20.4"),
  });
});
