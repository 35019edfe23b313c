// What files say reaches a terminal only with its control characters escaped, in errors as in what is printed.

import fc from "fast-check";
import { expect, test } from "vitest";
import { CheckpointError, configFromHuggingFace, PolyllamaError, printable, quoted } from "../src/index.ts";

const steer = "\u001b]0;title\u0007\u001b[2J\u009b1m\u202egnp.exe\u2069\r\b";
const steering = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

test("ordinary text stays, in any script", () => {
  const text = "model.norm.weight ▁你好 🦙 é\tא\n";
  expect(printable(text)).toBe(text);
  expect(quoted("▁the")).toBe('"▁the"');
  expect(quoted('a"b\n')).toBe('"a\\"b\\n"');
  expect(quoted("x".repeat(1000)).length).toBeLessThan(220);
});

test("control characters and bidirectional overrides are escaped", () => {
  expect(printable("\u001b[31m\u009b\u202e")).toBe("\\u001b[31m\\u009b\\u202e");
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !steering.test(printable(text))));
});

test("errors never carry them", () => {
  const errors = [
    new PolyllamaError("ERR_CONFIG", `m: architecture is ${steer}.`),
    new CheckpointError({ file: `${steer}.gguf`, tensor: `a\n${steer}` }, `it holds ${steer}`, "Check it."),
  ];
  for (const error of errors) expect(error.message).not.toMatch(steering);
  expect(errors[1]!.message).toContain('tensor "a\\n\\u001b]0;title');
  expect(errors[1]).toMatchObject({ tensor: `a\n${steer}` }); // the field is the name itself
  expect(() => configFromHuggingFace({ model_type: `x\n${steer}` }, "config.json")).toThrow(
    /model_type is x\\n\\u001b\]0;title/,
  );
});
