// All cases of the Llama suite, which run alone, as vitest tests, or in any other way:
//
//   await using subject = createLlamaSubject(backend);
//   for (const { name, run } of llamaCases) await run(subject);

import type { LlamaCase } from "./cases/case.ts";
import { chatCases } from "./cases/chat.ts";
import { endingCases } from "./cases/endings.ts";
import { generationCases } from "./cases/generation.ts";
import { interruptionCases } from "./cases/interruption.ts";
import { samplingCases } from "./cases/sampling.ts";
import { sequenceCases } from "./cases/sequences.ts";

export type { LlamaCase } from "./cases/case.ts";
export { createLlamaSubject, type LlamaSubject } from "./subject.ts";

export const llamaCases: readonly LlamaCase[] = [
  ...generationCases,
  ...samplingCases,
  ...endingCases,
  ...chatCases,
  ...sequenceCases,
  ...interruptionCases,
];
