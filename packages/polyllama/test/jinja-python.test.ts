// Templates rendered here and by Python's jinja2, in the environment of transformers: the same text, or an error from
// both, of the same words where the template raises it.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { amount } from "@polyllama/test-support/full";
import { describeWithSystem, system } from "@polyllama/test-support/system";
import { beforeAll, describe, expect, test } from "vitest";
import { TemplateError } from "../src/chat/jinja/budget.ts";
import { type RenderRequest, renderTemplate } from "../src/chat/jinja/render.ts";
import { marked } from "../src/chat/marking.ts";
import { chatTemplates } from "./chat-templates.ts";
import { conversation } from "./conversations.ts";
import { differences } from "./jinja-differences.ts";

const script = fileURLToPath(new URL("./jinja2_render.py", import.meta.url));
const conversations = amount(40, 200);
const now = Date.UTC(2026, 6, 4, 15, 7, 9);
const tokens = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };

interface Answer {
  readonly text?: string;
  readonly raised?: string;
  readonly failed?: string;
  readonly other?: string;
}

function python(requests: readonly RenderRequest[]): readonly Answer[] {
  const { status, stdout, stderr } = spawnSync("python3", [script], {
    input: requests.map((request) => JSON.stringify(request)).join("\n"),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: 100_000,
    env: { ...process.env, PYTHONPATH: system.jinja2?.folder, PYTHONDONTWRITEBYTECODE: "1" },
  });
  if (status !== 0) throw new Error(`python3 ended with ${status}: ${stderr}`);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Answer); // what the script prints
}

function here(request: RenderRequest): Answer {
  try {
    return { text: renderTemplate(request) };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    if (error.kind === "raised") return { raised: error.message };
    return error.kind === "failed" ? { failed: error.message } : { other: `${error.kind}: ${error.message}` };
  }
}

/** An error of Python's own has Python's words; that there is one is what counts. */
const comparable = ({ failed, ...answer }: Answer): object => (failed === undefined ? answer : { failed: true });

describeWithSystem("jinja2", "templates render as Python's jinja2 renders them", () => {
  describe.each(Object.entries(chatTemplates))("%s", (_, template) => {
    let requests: readonly RenderRequest[];
    let expected: readonly Answer[];
    beforeAll(() => {
      requests = Array.from({ length: conversations }, (_, seed) => ({
        template,
        now,
        variables: { ...conversation(seed), documents: null, ...tokens },
      }));
      expected = python(requests);
    });

    test(`${conversations} conversations`, () => {
      expect(expected.filter(({ text }) => text !== undefined).length).toBeGreaterThan(conversations / 4);
      for (const [seed, request] of requests.entries()) {
        expect({ seed, ...comparable(here(request)) }).toEqual({ seed, ...comparable(expected[seed]!) });
      }
    });

    test("the same with a mark beside every character of the messages", () => {
      const mark = "\ufdd1";
      for (const [seed, request] of requests.slice(0, 60).entries()) {
        const { messages, tools } = request.variables;
        const variables = { ...request.variables, messages: marked(messages, mark), tools: marked(tools, mark) };
        const answer = here({ ...request, variables, mark });
        const text = answer.text?.replaceAll(mark, "");
        expect({ seed, ...comparable({ ...answer, ...(text !== undefined && { text }) }) }).toEqual({
          seed,
          ...comparable(expected[seed]!),
        });
      }
    });
  });

  test("where JavaScript and Python differ", () => {
    const variables = { ...conversation(3), documents: null, ...tokens };
    const requests = differences.map((template) => ({ template, variables, now }));
    const expected = python(requests);
    for (const [index, request] of requests.entries()) {
      const { template } = request;
      expect({ template, ...comparable(here(request)) }).toEqual({ template, ...comparable(expected[index]!) });
    }
  });
});
