// A conversation on a terminal: keys, pasted text, and lines that fit.

import stringWidth from "string-width";
import { expect, test } from "vitest";
import { describeOnTerminal, startOnTerminal } from "./pty.ts";

const chat = ["chat", "--backend", "reference", "--seed", "1", "--ignore-eos"];
const paste = (text: string): string => `\x1b[200~${text.replaceAll("\n", "\r")}\x1b[201~`;
describeOnTerminal("chat on a terminal", () => {
  test("a paste of several lines is one message, also one that begins with a slash", async () => {
    const { child, until, raw, text, finished } = startOnTerminal([...chat, "-n", "8"]);
    await until(/> /);
    child.stdin.write(paste("/first line\nsecond line\nthird"));
    await until(/third/);
    child.stdin.write(" line\r");
    await until(/generated 8 tokens/);
    child.stdin.write("/undo\r");
    await until(/Forgotten: \/first line\nsecond line\nthird line\n/);
    child.stdin.write("/exit\r");
    expect(await finished).toBe(0);
    expect(text().match(/generated 8 tokens/g)).toHaveLength(1);
    expect(raw()).toContain("\x1b[?2004h");
    expect(raw()).toContain("\x1b[?2004l");
  });

  test("Alt-Enter, a backslash and three quotes make messages of several lines", async () => {
    const { child, until, finished } = startOnTerminal([...chat, "-n", "8"]);
    let at = await until(/> /);
    for (const typed of ["one\x1b\rtwo\r", "one\\\rtwo\r", '"""\rone\rtwo\r"""\r']) {
      child.stdin.write(typed);
      await until(/generated 8 tokens/, at);
      child.stdin.write("/undo\r");
      at = await until(/Forgotten: one\ntwo\n/, at);
    }
    child.stdin.write("\x04");
    expect(await finished).toBe(0);
  });

  test("Ctrl-C takes back what was typed; at an empty prompt the second one leaves", async () => {
    const { child, until, finished, text } = startOnTerminal([...chat, "-n", "8"]);
    let at = await until(/> /);
    child.stdin.write("half a message");
    await until(/half a message/);
    child.stdin.write("\x03");
    at = await until(/> /, at);
    child.stdin.write("\x03");
    at = await until(/Ctrl-C once more ends the conversation.*> /s, at);
    child.stdin.write("/undo\r"); // what lies between makes the next one a first one again
    at = await until(/nothing to undo.*> /s, at);
    child.stdin.write("\x03");
    at = await until(/Ctrl-C once more ends.*> /s, at);
    child.stdin.write("\x03");
    expect(await finished).toBe(130);
    expect(text()).not.toContain("generated");
  });

  test("Ctrl-C stops an answer, and the conversation goes on", async () => {
    const { child, until, finished } = startOnTerminal(chat);
    let at = await until(/> /);
    child.stdin.write("Hello\r");
    at = await until(/Hello\s+\W*\w{3}/, at);
    child.stdin.write("\x03");
    at = await until(/interrupted.*> /s, at);
    child.stdin.write("/exit\r");
    expect(await finished).toBe(0);
  });

  test("40 columns: text breaks between words", async () => {
    const args = ["generate", "--backend", "reference", "-s", "1", "-n", "60", "--ignore-eos"];
    const { until, text, finished } = startOnTerminal(
      [...args, "Once upon a time there was a poor man who had a daughter"],
      40,
    );
    await until(/generated 60 tokens/);
    expect(await finished).toBe(0);
    const lines = text().split("\n");
    const end = lines.findIndex((line) => line.startsWith("prompt "));
    expect(lines[0]).toBe("Once upon a time there was a poor man");
    for (const line of lines.slice(0, end)) expect(stringWidth(line)).toBeLessThanOrEqual(40);
  });
});
