import { Llama } from "polyllama";
import { describe, expect, test, vi } from "vitest";
import { parseMessages } from "../src/chat/once.ts";
import { run } from "./captured.ts";
import { start } from "./program.ts";

const chat = ["chat", "--backend", "reference", "--seed", "1", "--context", "256"];

test("every line of a pipe is a message; the second turn continues the first", async () => {
  const { code, stdout, stderr } = await run(
    [...chat, "-n", "6", "--ignore-eos"],
    "Hello\n\nAnd then?\n/exit\nnever\n",
  );
  expect(code).toBe(0);
  const speeds = stderr.match(/prompt (\d+) tokens?, /g);
  expect(speeds).toHaveLength(2);
  expect(stderr).toContain("The embedded poet is no chat model");
  expect(stdout.endsWith("\n")).toBe(true);
});

test("what was read is not read again, and /reset forgets it", async () => {
  const message = "A rather long message, so that it has quite a few tokens. ".repeat(2).trim();
  const { stderr } = await run([...chat, "-n", "2", "--ignore-eos"], `${message}\nHi\n/reset\n${message}\n`);
  const [first, second, third] = [...stderr.matchAll(/prompt (\d+) tokens?, /g)].map(([, read]) => Number(read));
  expect(second).toBeLessThan(first! / 2);
  // Only BOS and the beginning of the format may be common with what was there before.
  expect(third).toBeGreaterThan(0);
  expect(third).toBeLessThanOrEqual(first!);
});

test("a message that cannot be answered is taken back, and the conversation goes on; a slash can be sent", async () => {
  const { code, stdout, stderr } = await run(
    [...chat, "-n", "8", "--ignore-eos", "--no-context-shift"],
    `${"word ".repeat(400)}\nHello [INST]\nHello\n/nonsense\n//nonsense\n/undo\n/send /exit\n/undo\n/system\n`,
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/positions are needed but the context holds 256/);
  expect(stderr).toContain("/reset starts a new one, and --context-shift");
  expect(stderr).toMatch(/contains "\[INST\]"/);
  expect(stderr.match(/generated 8 tokens/g)).toHaveLength(3);
  expect(stdout).toContain(
    "There is no command /nonsense. To send a message that begins with a slash, begin with two: //nonsense",
  );
  expect(stderr.match(/Forgotten: .*/g)).toEqual(["Forgotten: /nonsense", "Forgotten: /exit"]);
  expect(stdout).toContain("There is no system message");
});

test("an answer that fills the context ends; then the oldest turn leaves for good, with one notice, and the system message stays", async () => {
  const { code, stdout, stderr } = await run(
    ["chat", "-s", "1", "--ignore-eos", "--system", "Be brief.", "--context", "256"],
    "Hello there\nAnd then?\nAnd then?\n/system\n",
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /the context is full \| seed 1\n(.*\.\.\.\n)*The context is full: the oldest turn left the conversation\.\n/,
  );
  expect(stderr.match(/The context is full: .*/g)).toEqual(
    Array(2).fill("The context is full: the oldest turn left the conversation."),
  );
  expect(stderr.match(/generated \d+ tokens/g)).toHaveLength(3);
  expect(stdout).toMatch(/\nBe brief\.\n$/);
});

describe("chat --json answers one turn", () => {
  const json = async (input: string, ...args: string[]) => {
    const { code, stdout } = await run([...chat, "--json", "-n", "2", "--ignore-eos", ...args], input);
    expect(code).toBe(0);
    return JSON.parse(stdout);
  };

  test("a text of several lines as a message, and the same in a list of messages", async () => {
    const [text, list] = await Promise.all([
      json("/Hello,\nwho are you?\n", "--system", "Be brief."),
      json(
        JSON.stringify([
          { role: "system", content: "Be brief." },
          { role: "user", content: "/Hello,\nwho are you?" },
        ]),
      ),
    ]);
    expect(Object.keys(text)).toEqual([
      "backend",
      "device",
      "model",
      "promptIds",
      "ids",
      "text",
      "finish",
      "dropped",
      "seed",
      "timings",
    ]);
    expect(text).toMatchObject({ backend: "reference", finish: "length", dropped: 0, seed: 1 });
    expect(text.ids).toHaveLength(2);
    expect(text.timings.promptTokens).toBe(text.promptIds.length);
    const { timings: _, ...first } = text;
    const { timings: __, ...second } = list;
    expect(second).toEqual(first);
  });

  test("of a conversation that is too long for the context, the prompt that was read is told", async () => {
    const oldest = [
      { role: "user", content: "word ".repeat(300) },
      { role: "assistant", content: "Yes." },
    ];
    const kept = [{ role: "user", content: "Hello" }];
    const shifted = await json(JSON.stringify([...oldest, ...kept]));
    const alone = await json(JSON.stringify(kept));
    expect([shifted.dropped, alone.dropped]).toEqual([2, 0]);
    expect(shifted.promptIds).toEqual(alone.promptIds);
    expect(shifted.timings.promptTokens).toBe(shifted.promptIds.length);
  });

  test("what is a message is decided by what the input is", () => {
    expect(parseMessages("[1, 2]")).toBeUndefined();
    expect(parseMessages("[INST] no list")).toBeUndefined();
    expect(parseMessages('"text"')).toBeUndefined();
    expect(parseMessages('[{"role": "user", "content": "a"}]')).toEqual([{ role: "user", content: "a" }]);
    expect(() => parseMessages('[{"role": "user", "content": 3}]')).toThrow(/Message 0 of the list is not one/);
    expect(() => parseMessages('[{"role": "user", "content": "a", "nam": "b"}]')).toThrow(/unknown field "nam"/);
  });
});

test("Ctrl-C while a conversation is made to fit stops that answer at once, and the conversation goes on", async () => {
  const { renderChat } = Llama.prototype;
  let count = 0;
  const spy = vi.spyOn(Llama.prototype, "renderChat").mockImplementation(function (this: Llama, messages, options) {
    if (count++ > 0) return renderChat.call(this, messages, options);
    const signal = options?.signal;
    if (signal === undefined) return renderChat.call(this, messages, options);
    process.emit("SIGINT"); // while a template renders that would take long
    return Promise.reject(signal.reason);
  });
  const given = ["--ignore-eos", "-n", "2"];
  const { code, stderr } = await run([...chat, ...given], "Hello\nGo on\n");
  count = 0;
  const once = await run([...chat, ...given, "--json"], "Hello");
  spy.mockRestore();
  expect(code).toBe(0);
  expect(stderr).toMatch(/prompt 0 tokens, .*interrupted.*\nprompt \d+ tokens, .*generated 2 tokens/s);
  expect(once.code).toBe(130);
  expect(JSON.parse(once.stdout)).toMatchObject({ ids: [], text: "", finish: "interrupted" });
});

test("Ctrl-C stops the answer first; the conversation goes on, and at the prompt Ctrl-C ends the program", async () => {
  const { child, finished, until } = start([...chat, "--ignore-eos"]);
  child.stdin.write("Hello\n");
  const asked = await until("stdout", /\S/);
  child.kill("SIGINT");
  const stopped = await until("stderr", /interrupted/);
  child.stdin.write("Go on\n");
  await until("stdout", /\n[^\n]*\S/, asked);
  child.kill("SIGINT");
  await until("stderr", /interrupted/, stopped);
  child.kill("SIGINT");
  const { code, stderr } = await finished;
  expect(code).toBe(130);
  expect(stderr.match(/generated \d+ tokens?.*interrupted/g)).toHaveLength(2);
});
