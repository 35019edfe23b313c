import { reference } from "@polyllama/backend-reference";
import { poet } from "@polyllama/model-poet";
import { Llama } from "polyllama";

// One model for all requests, loaded by the first; also when Next evaluates this file anew while developing.
const model = () => (globalThis.llama ??= Llama.load(poet, { backend: reference(), quantize: "q8_0" }));

export async function GET(request) {
  const prompt = new URL(request.url).searchParams.get("prompt") ?? "";
  const llama = await model();
  const { ids, text } = await llama.complete(prompt, { temperature: 0, maxTokens: 8, signal: request.signal });
  return Response.json({ ids, text });
}
