import { expect, test } from "vitest";
import { createAssembler, type LineEnd } from "../src/chat/assemble.ts";
import { chatCommands, parseLine } from "../src/chat/commands.ts";

/** The messages that lines become; a line may stand with how it ended. */
function messages(...lines: readonly (string | readonly [string, LineEnd])[]): unknown[] {
  const assembler = createAssembler();
  const entries = lines.map((line) =>
    typeof line === "string" ? assembler.add(line, "enter") : assembler.add(...line),
  );
  return [...entries, assembler.rest()].filter((entry) => entry !== undefined).map(({ text, plain }) => [text, plain]);
}

const pasted = (line: string): readonly [string, LineEnd] => [line, "pasted"];

test("a typed line is a message; what is pasted is one, with the line typed behind it", () => {
  expect(messages("Hello", "/exit")).toEqual([
    ["Hello", true],
    ["/exit", true],
  ]);
  expect(messages(pasted("def f():"), pasted("    return '\\'"), pasted('"""doc"""'), "", "next")).toEqual([
    ['def f():\n    return \'\\\'\n"""doc"""\n', false],
    ["next", true],
  ]);
  expect(messages("before", ["more", "continue"], pasted("/usr/bin"), "after")).toEqual([
    ["before", true],
    ["more\n/usr/bin\nafter", false],
  ]);
});

test("a backslash at the end, and a block between three quotes, go on over lines", () => {
  expect(messages("one\\", "two\\", "three")).toEqual([["one\ntwo\nthree", false]]);
  expect(messages('"""', "one\\", "", "/two", '"""', "three")).toEqual([
    ["one\\\n\n/two", false],
    ["three", true],
  ]);
  expect(messages('"""one', 'two"""')).toEqual([["one\ntwo", false]]);
  expect(messages('"""one"""')).toEqual([["one", false]]);
});

test("what was begun is sent when the input ends, and forgotten when it is cleared", () => {
  expect(messages('"""', "one")).toEqual([["one", false]]);
  const assembler = createAssembler();
  assembler.add('"""', "enter");
  expect(assembler.pending).toBe(true);
  assembler.clear();
  expect(assembler.pending).toBe(false);
  expect(assembler.add("two", "enter")).toEqual({ text: "two", plain: true });
});

test("lines that begin with a slash", () => {
  expect(parseLine(" Hello ")).toEqual({ kind: "message", content: "Hello" });
  expect(parseLine("//etc/hosts is what?")).toEqual({ kind: "message", content: "/etc/hosts is what?" });
  expect(parseLine("/send /exit")).toEqual({ kind: "message", content: "/exit" });
  expect(parseLine("/system  Be brief. ")).toEqual({ kind: "command", name: "system", argument: "Be brief." });
  for (const name of Object.keys(chatCommands).filter((name) => name !== "send")) {
    expect(parseLine(`/${name}`)).toEqual({ kind: "command", name, argument: "" });
  }
  for (const name of ["nonsense", "", "toString", "Exit"])
    expect(parseLine(`/${name}`)).toEqual({ kind: "unknown", name });
});
