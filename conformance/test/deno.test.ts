// The suite under Deno: the sources run there as they are, and find what they find in Node.

import { describeWithSystem, system } from "@polyllama/test-support/system";
import { expect, test } from "vitest";
import { deno } from "../environments/deno.ts";
import { isSample } from "../environments/selections.ts";
import { conformanceCases } from "../src/index.ts";

describeWithSystem("deno", "the reference in Deno", () => {
  test("a sample of operations passes, the same as in Node", { timeout: 180_000 }, async () => {
    await using environment = await deno(system.deno!.executable, { name: "reference" });
    const { addresses, info } = environment;
    expect(info.backend).toBe("reference");
    expect(addresses).toEqual(conformanceCases().map(({ address }) => address));
    const sample = addresses.filter(isSample);
    expect(sample.length).toBeGreaterThan(400);
    const failed: string[] = [];
    for (const address of sample) {
      const { status, detail } = await environment.run(address, 1);
      if (status !== "passed") failed.push(`${address}: ${status} ${detail}`);
    }
    expect(failed).toEqual([]);
  });
});
