// `npm run conformance:compare -- --since main`: recorded results beside those of a commit, for each environment the
// worst of each kind and its case; fails where a case allows more than it did there.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { type BackendResults, type Bounds, besideLines, widened } from "@polyllama/conformance";
import { readArguments } from "../scripts/arguments.mjs";
import { root } from "./records.ts";

const { since } = readArguments(
  "npm run conformance:compare",
  "Prints recorded results beside those of a commit, and fails where a bound became wider.",
  { since: { type: "string", default: "HEAD", about: "commit to compare with" } },
);

/** A file as it was, or undefined where it was not yet. */
function before(path: string): string | undefined {
  const known = execFileSync("git", ["ls-tree", "--name-only", since, "--", path], { cwd: root, encoding: "utf8" });
  if (known === "") return undefined;
  return execFileSync("git", ["show", `${since}:${path}`], { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28 });
}

/** Files of a folder of this one, each with what it is now and was then. */
function pairs<Content>(folder: string): readonly (readonly [string, Content, Content | undefined])[] {
  return readdirSync(`${root}conformance/${folder}`).map((file) => {
    const path = `conformance/${folder}/${file}`;
    const old = before(path);
    const now: Content = JSON.parse(readFileSync(root + path, "utf8"));
    return [file.replace(/\.json$/, ""), now, old === undefined ? undefined : JSON.parse(old)];
  });
}

for (const [, now, old] of pairs<BackendResults>("results")) {
  console.log(`\n${now.backend}, ${now.date}, beside ${old === undefined ? "nothing" : old.date}`);
  for (const line of besideLines(now.results, old?.results ?? [])) console.log(line);
}

let wider = 0;
for (const [name, now, old] of pairs<Bounds>("bounds")) {
  const grown = widened(old ?? {}, now);
  const gone = Object.keys(old ?? {}).filter((address) => now[address] === undefined);
  const change = old === undefined ? "none recorded before" : `${grown.length} wider, ${gone.length} gone`;
  console.log(`\nbounds of ${name}: ${Object.keys(now).length} cases, ${change}`);
  for (const { address, before: from, now: to } of grown) console.log(`wider: ${address}, ${from} -> ${to}`);
  for (const address of gone) console.log(`gone: ${address}`);
  wider += grown.length + gone.length;
}
process.exitCode = wider === 0 ? 0 : 1;
