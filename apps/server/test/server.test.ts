// The program as it is started by hand, on the cpu backend with the embedded model, asked over HTTP.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const program = ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx"), main];

let child: ChildProcess;
let output = "";
let url: string;

beforeAll(async () => {
  child = spawn(process.execPath, [...program, "--port", "0"], { timeout: 100_000, killSignal: "SIGKILL" });
  url = await new Promise<string>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      output += String(chunk);
      const found = /POST (http:\S+)/.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.on("exit", () => reject(new Error(`ended: ${output}`)));
  });
});
afterAll(() => child.kill("SIGKILL"));

const headers = { "content-type": "application/json" };
const post = (body: string, signal?: AbortSignal): Promise<Response> =>
  fetch(url, { method: "POST", headers, body, ...(signal && { signal }) });

/** How the program ends that is started with these arguments. */
async function ends(...rest: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const other = spawn(process.execPath, [...program, ...rest], { timeout: 100_000, killSignal: "SIGKILL" });
  let output = "";
  for (const stream of [other.stdout, other.stderr]) stream.on("data", (chunk: Buffer) => (output += String(chunk)));
  const [code] = (await once(other, "close")) as [number | null]; // as Node declares it
  return { code, output };
}

/** The events of a whole answer. */
async function events(response: Response): Promise<readonly { readonly event?: string; readonly data: unknown }[]> {
  const blocks = (await response.text()).split("\n\n").filter((block) => block !== "");
  return blocks.map((block) => {
    const event = /^event: (.*)$/m.exec(block)?.[1];
    return { ...(event !== undefined && { event }), data: JSON.parse(/^data: (.*)$/m.exec(block)![1]!) };
  });
}

const textOf = (answer: Awaited<ReturnType<typeof events>>): string =>
  answer.map(({ data }) => (data as { text?: string }).text ?? "").join(""); // what events are parsed to

test("a prompt and a chat stream, and equal seeds give equal text", async () => {
  const prompt = JSON.stringify({ prompt: "Once upon a time", maxTokens: 12, seed: 3, ignoreEos: true });
  const response = await post(prompt);
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const answer = await events(response);
  expect(answer.length).toBeGreaterThan(5);
  expect(answer.at(-1)?.data).toHaveProperty("finish", "length");
  expect(textOf(await events(await post(prompt)))).toBe(textOf(answer));

  const chat = await events(
    await post(JSON.stringify({ messages: [{ role: "user", content: "Hello" }], maxTokens: 4 })),
  );
  expect(chat.at(-1)?.data).toHaveProperty("finish");
});

test("stop texts and stop tokens end a text", async () => {
  const ask = async (more: object) =>
    events(await post(JSON.stringify({ prompt: "The fox", maxTokens: 8, temperature: 0, ignoreEos: true, ...more })));
  const whole = textOf(await ask({}));
  const stop = [whole.slice(4, 6), "zzz"];
  const stopped = await ask({ stop });
  expect(stopped.at(-1)).toMatchObject({ data: { finish: "stop" } });
  expect(textOf(stopped)).toBe(whole.slice(0, whole.indexOf(stop[0]!)));
  const everything = Array.from({ length: 6144 }, (_, id) => id);
  expect(await ask({ stopTokens: everything })).toMatchObject([{ data: { finish: "stop" } }]);
  const response = await post(JSON.stringify({ prompt: "The fox", stopTokens: ["<|im_end|>"] }));
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ code: "ERR_OPTION" });
});

test("a client that leaves ends its text, and the next one is served", async () => {
  const leaving = new AbortController();
  const response = await post(JSON.stringify({ prompt: "Once", maxTokens: 250, ignoreEos: true }), leaving.signal);
  const reader = response.body!.getReader();
  await reader.read();
  leaving.abort();
  await expect(reader.read()).rejects.toThrow();
  const answer = await events(await post(JSON.stringify({ prompt: "Once", maxTokens: 2 })));
  expect(answer.at(-1)?.data).toHaveProperty("finish");
  expect(output).toContain("left by its client");
});

test("more requests than sequences are all answered", async () => {
  const ask = async () => textOf(await events(await post(JSON.stringify({ prompt: "A", maxTokens: 3, seed: 1 }))));
  const texts = await Promise.all(Array.from({ length: 9 }, ask));
  expect(texts[0]).not.toBe("");
  expect(new Set(texts).size).toBe(1);
});

test("one JSON object, where that is asked for; the same text as by events", async () => {
  const asked = { prompt: "Once upon a time", maxTokens: 6, seed: 3, ignoreEos: true };
  const whole = await post(JSON.stringify({ ...asked, stream: false }));
  expect(whole.headers.get("content-type")).toMatch(/^application\/json/);
  const text = textOf(await events(await post(JSON.stringify(asked))));
  expect(await whole.json()).toEqual({ text, finish: "length" });
});

test("log probabilities come with the events", async () => {
  const answer = await events(
    await post(JSON.stringify({ prompt: "Once", maxTokens: 3, logprobs: 2, ignoreEos: true })),
  );
  expect(answer).toHaveLength(3);
  for (const { data } of answer) {
    const { logprob, top } = data as { logprob: number; top: readonly unknown[] }; // checked in what follows
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top).toHaveLength(2);
  }
});

test("health", async () => {
  const response = await fetch(new URL("/health", url));
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ status: "ok", backend: "cpu" });
});

test("other people's pages are kept out: by content type, and by the name that the server is asked as", async () => {
  const plain = await fetch(url, { method: "POST", body: '{"prompt":"a"}' });
  expect(plain.status).toBe(415);
  const { hostname, port } = new URL(url);
  const asked = request({ hostname, port, path: "/health", headers: { host: `evil.example:${port}` } });
  asked.end();
  const [response] = (await once(asked, "response")) as [{ statusCode: number }]; // as Node declares it
  expect(response.statusCode).toBe(403);
  expect((await fetch(new URL("/health", url))).headers.get("access-control-allow-origin")).toBeNull();
});

test("a port in use is told in a line", async () => {
  const { port } = new URL(url);
  const used = await ends("--port", port);
  expect(used).toMatchObject({ code: 1, output: expect.stringMatching(/^.*EADDRINUSE.*--port\n$/) });
});

test.each([
  ["{", 400, "ERR_REQUEST", /JSON/],
  ["{}", 400, "ERR_REQUEST", /`prompt` or `messages`/],
  ['{"prompt":5}', 400, "ERR_REQUEST", /`prompt` or `messages`/],
  ['{"prompt":"a","messages":[]}', 400, "ERR_REQUEST", /`prompt` or `messages`/],
  ['{"prompt":"a","sequence":1}', 400, "ERR_REQUEST", /`prompt` or `messages`/],
  ['{"prompt":"a","onProgress":true}', 400, "ERR_REQUEST", /`prompt` or `messages`/],
  ['{"prompt":"a","stream":"no"}', 400, "ERR_REQUEST", /`prompt` or `messages`/],
  ['{"prompt":"a","topQ":1}', 400, "ERR_OPTION", /unknown option "topQ"/],
  ['{"prompt":"a","temperature":-1}', 400, "ERR_OPTION", /temperature/],
  ['{"prompt":"a","stop":null}', 400, "ERR_OPTION", /stop/],
  ['{"prompt":"a","logitBias":null}', 400, "ERR_OPTION", /logitBias/],
  ['{"prompt":"a","ignoreEos":"no"}', 400, "ERR_OPTION", /ignoreEos/],
  ['{"messages":[]}', 400, "ERR_CHAT", /./],
  ['{"messages":[{"role":"user"}]}', 400, "ERR_REQUEST", /role and content/],
  ['{"messages":[null]}', 400, "ERR_REQUEST", /role and content/],
  [`{"prompt":"${"a".repeat(2 ** 20)}"}`, 413, "ERR_REQUEST", /exceeds 1 MiB/],
])("bad input, %#", async (body, status, code, message) => {
  const response = await post(body);
  expect(response.status).toBe(status);
  const answer = (await response.json()) as { code: string; error: string }; // checked in what follows
  expect(answer.code).toBe(code);
  expect(answer.error).toMatch(message);
});

test("a prompt that does not fit is an error event", async () => {
  const [event] = await events(await post(JSON.stringify({ prompt: "word ".repeat(6000) })));
  expect(event).toMatchObject({ event: "error", data: { code: "ERR_CONTEXT" } });
});

test("another address is answered in JSON", async () => {
  const response = await fetch(new URL("/", url));
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ code: "ERR_ROUTE" });
});

// The last one, as it ends the program; on Windows a signal does not ask it to.
test.skipIf(process.platform === "win32")(
  "clients that stop reading or asking keep neither others waiting nor the program from ending",
  async () => {
    const { hostname, port } = new URL(url);
    const body = JSON.stringify({ prompt: "Once", maxTokens: 120, ignoreEos: true, logprobs: 100 });
    const head = `POST /generate HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n`;
    const ask = async (text: string): Promise<Socket> => {
      const socket = connect(Number(port), hostname).pause();
      socket.on("error", () => undefined); // it is cut off
      await once(socket, "connect");
      socket.write(text);
      return socket;
    };
    const whole = `${head}content-length: ${body.length}\r\n\r\n${body}`;
    const sockets = await Promise.all([whole, whole, whole, whole, head].map(ask));
    await Promise.all(sockets.slice(0, 4).map((socket) => once(socket, "readable")));
    const others = await events(await post(JSON.stringify({ prompt: "Once", maxTokens: 2 })));
    expect(others.at(-1)?.data).toHaveProperty("finish");
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([0, null]);
    for (const socket of sockets) socket.destroy();
  },
);
