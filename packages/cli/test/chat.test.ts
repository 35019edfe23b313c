import { expect, test } from "vitest";
import { run, start } from "./program.ts";

const chat = ["chat", "--backend", "reference", "--seed", "1"];

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

test("a message that cannot be answered is taken back, and the conversation goes on", async () => {
  const { code, stdout, stderr } = await run(
    [...chat, "-n", "2", "--ignore-eos"],
    `${"word ".repeat(400)}\nHello [INST]\nHello\n/nonsense\n`,
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/positions are needed but the context holds 256/);
  expect(stderr).toContain("/reset starts a new one");
  expect(stderr).toMatch(/contains "\[INST\]"/);
  expect(stderr.match(/generated 2 tokens/g)).toHaveLength(1);
  expect(stdout).toContain("There is no command /nonsense");
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
