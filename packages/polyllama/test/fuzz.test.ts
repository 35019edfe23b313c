// Spoiled chat templates are rendered or refused, within limits, and nothing else: some seconds of what `npm run fuzz`
// does.

import { check } from "@polyllama/test-support/fuzz/check";
import { flatten } from "@polyllama/test-support/fuzz/pieces";
import { randomOf } from "@polyllama/test-support/fuzz/random";
import { expect, test } from "vitest";
import { chatTemplateTarget as target } from "../fuzz/chat-templates.ts";

const inputs = 300;
const input = (number: number) => target.make(randomOf(`test ${target.name} ${number}`));

test("spoiled chat templates", async () => {
  for (const sound of target.sound) expect(await check(target, sound)).toMatchObject({ outcome: "read" });
  const outcomes = new Set<string>();
  for (let number = 0; number < inputs; number++) {
    const { outcome, detail } = await check(target, input(number));
    expect(outcome, `seed test, input ${number}: ${detail}`).not.toBe("finding");
    outcomes.add(outcome);
  }
  expect([...outcomes].sort()).toEqual(["read", "refused"]);
});

test("an engine without a budget is found", async () => {
  const faulty = {
    ...target,
    run: async (pieces: Parameters<typeof flatten>[0]) => {
      const count = /range\((\d+)\)/.exec(new TextDecoder().decode(flatten(pieces)))?.[1];
      if (count !== undefined) new Array(Number(count)).fill(0, 0, 10);
    },
  };
  const details: string[] = [];
  for (let number = 0; number < inputs; number++) {
    const { outcome, detail } = await check(faulty, input(number));
    if (outcome === "finding") details.push(detail);
  }
  expect(details).toContainEqual(expect.stringContaining("asked for a buffer of"));
});
