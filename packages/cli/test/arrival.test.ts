// Every option of every command, from the program's own definition, arrives where it should, with its value, and
// changes nothing else: each is given to the real command, and what that calls is compared with the same call without
// the option.

import { describe, expect, test } from "vitest";
import { commands } from "./arrival/commands.ts";
import { definedOptions, difference, type Seen, seen } from "./arrival/seen.ts";

const defined = definedOptions();

test("no command and no option is left out here", () => {
  const here = new Map(commands.map(({ name, rows }) => [name, rows.map(({ option: [flag] }) => flag)]));
  const sorted = (options: readonly string[] = []): readonly string[] => [...new Set(options)].sort();
  for (const [name, options] of defined) expect([name, sorted(here.get(name))]).toEqual([name, sorted(options)]);
  for (const name of here.keys()) expect(defined.has(name)).toBe(true);
});

test("short names arrive as the long ones do", async () => {
  const short = await seen("generate -p One -m m.gguf -c 22 -t 3 -n 7 -s 18".split(" "));
  expect(short).toMatchObject({
    "encode.text": "One",
    "load.location": "m.gguf",
    "load.contextLength": 22,
    "cpu.threads": 3,
    "generate.maxTokens": 7,
    "generate.seed": 18,
  });
});

const runs = new Map<string, Promise<Seen>>();

/** What the command does without the option; many options share a run. */
function seenBefore(args: readonly string[]): Promise<Seen> {
  const known = runs.get(args.join(" ")) ?? seen(args);
  runs.set(args.join(" "), known);
  return known;
}

describe.each(commands)("polyllama $name", ({ given, arrives, rows }) => {
  test("arguments", async () => {
    expect(await seenBefore(given)).toMatchObject(arrives);
  });

  test.each(rows.map(({ option, beside = [], changes }) => [option.join(" "), { option, beside, changes }] as const))(
    "%s",
    async (_, { option, beside, changes }) => {
      const before = await seenBefore([...given, ...beside]);
      const after = await seen([...given, ...beside, ...option]);
      const { stdout: text, ...changed } = difference(before, after);
      // Speeds differ from run to run, so that text counts where it is what the option changes.
      const all: Seen = "stdout" in changes ? { stdout: text, ...changed } : changed;
      // Where the option is what keeps a command from ending early, all that follows is new.
      const wanted = Object.entries(all).filter(([name]) => before["error"] === undefined || name in changes);
      expect(Object.fromEntries(wanted)).toEqual(changes);
    },
  );
});
