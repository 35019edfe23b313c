// `npm run test:runtimes`: runs the story in every runtime that is installed and prints the table of docs/support.md.
// Fails where one does not write what the first one wrote.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { makeProject, runStory, runtimes, type Story } from "./runtimes.ts";

const folder = mkdtempSync(join(tmpdir(), "polyllama-runtimes-"));
try {
  makeProject(folder);
  console.log(`${process.platform} ${process.arch}, ${new Date().toISOString().slice(0, 10)}\n`);
  const parts = ["reference", "cpu", "onnxruntime", "safetensors", "threads", "worker"] as const;
  const titles = parts.map((part) => (part === "safetensors" ? "files" : part));
  console.log(`| runtime | version | ${titles.join(" | ")} |\n|---|---|${"---|".repeat(parts.length)}`);
  let first: Story | undefined;
  for (const runtime of runtimes) {
    if (runtime.executable === undefined) {
      console.log(`| ${runtime.name} | not installed |${" |".repeat(parts.length)}`);
      continue;
    }
    const story = await runStory(runtime, folder).catch((error: unknown) => {
      console.error(error);
      return undefined;
    });
    first ??= story;
    const same = (part: keyof Story): string =>
      story === undefined ? "fails" : isDeepStrictEqual(story[part], first?.[part]) ? "yes" : "differs";
    const cells = parts.map(same);
    if (cells.some((cell) => cell !== "yes")) process.exitCode = 1;
    console.log(`| ${[runtime.name, runtime.version, ...cells].join(" | ")} |`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
