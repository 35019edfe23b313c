// What pages of other origins get, without a process: requests are handed to the application.

import { reference } from "@polyllama/backend-reference";
import { poet } from "@polyllama/model-poet";
import { Llama } from "polyllama";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../src/app.ts";

const origin = "http://localhost:5173";
let llama: Llama;
let app: ReturnType<typeof createApp>;
beforeAll(async () => {
  llama = await Llama.load(poet, { backend: reference() });
  app = createApp(llama, { parallel: 1, host: "127.0.0.1", cors: origin });
});
afterAll(() => llama.dispose());

const ask = (path: string, from: string, more: RequestInit = {}, address = "http://127.0.0.1:8080") =>
  app.request(`${address}${path}`, { ...more, headers: { origin: from, ...more.headers } });
const json = { "content-type": "application/json" };
const post = (body: object) => ({ method: "POST", headers: json, body: JSON.stringify(body) });
const allowed = (response: Response) => response.headers.get("access-control-allow-origin");

test("with --cors, that origin's pages may ask, and read the answers", async () => {
  const preflight = await ask("/generate", origin, {
    method: "OPTIONS",
    headers: { "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  });
  expect([preflight.status, allowed(preflight)]).toEqual([204, origin]);
  expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
  expect(preflight.headers.get("access-control-allow-headers")).toBe("content-type");
  for (const stream of [false, true]) {
    const answer = await ask("/generate", origin, post({ prompt: "a", maxTokens: 1, stream }));
    expect([answer.status, allowed(answer)]).toEqual([200, origin]);
    expect(await answer.text()).toContain("finish");
  }
});

test("refusals can be read, too", async () => {
  for (const [status, response] of [
    [400, await ask("/generate", origin, post({ prompt: "a", temperature: -1 }))],
    [403, await ask("/health", origin, {}, "http://evil.example:8080")],
    [404, await ask("/nowhere", origin)],
    [413, await ask("/generate", origin, post({ prompt: "a".repeat(2 ** 20) }))],
    [415, await ask("/generate", origin, { method: "POST", headers: { "content-type": "text/plain" }, body: "a" })],
  ] as const) {
    expect([response.status, allowed(response)]).toEqual([status, origin]);
    expect(await response.json()).toHaveProperty("error");
  }
});

test("pages of another origin may not", async () => {
  const preflight = await ask("/generate", "http://evil.example", { method: "OPTIONS" });
  expect(allowed(preflight)).toBeNull();
  expect(allowed(await ask("/health", "http://evil.example"))).toBeNull();
});
