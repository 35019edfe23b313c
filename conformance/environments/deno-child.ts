// Deno's side: one request a line on standard input, one answer a line on standard output.

import process from "node:process";
import { createInterface } from "node:readline";
import type { Remote } from "./environment.ts";
import { createRemote } from "./remote.ts";

const remote = createRemote();
for await (const line of createInterface({ input: process.stdin })) {
  const { open, address, seed } = JSON.parse(line);
  const answer = open === undefined ? await remote.run(address, seed) : withVersion(await remote.open(open));
  // JSON has no Infinity, which is how large a case's error is when it ended with an exception.
  process.stdout.write(`${JSON.stringify(answer, (_, value) => (value === Infinity ? "Infinity" : value))}\n`);
}
process.exit(0);

function withVersion({ info, addresses }: Awaited<ReturnType<Remote["open"]>>) {
  return { info: { ...info, details: { ...info.details, deno: process.versions["deno"] ?? "" } }, addresses };
}
