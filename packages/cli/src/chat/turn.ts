// One message of a conversation and its answer, as it comes. What cannot be answered is taken back.

import { type ChatMessage, type ChatOptions, ContextOverflowError, PolyllamaError } from "polyllama";
import type { Interrupts } from "../interrupts.ts";
import type { LoadedModel } from "../load.ts";
import { createProgress } from "../progress.ts";
import { follow, type Streamed, summary } from "../stream.ts";
import { note, print, writeText } from "../terminal.ts";

/** One message and its answer; returns the conversation that they leave behind. */
export async function turn(
  { llama }: LoadedModel,
  earlier: readonly ChatMessage[],
  content: string,
  sampling: ChatOptions,
  interrupts: Interrupts,
): Promise<readonly ChatMessage[]> {
  const asked: readonly ChatMessage[] = [...earlier, { role: "user", content }];
  using progress = createProgress();
  let read = 0;
  let answered = false;
  let result: Streamed;
  try {
    result = await interrupts.stoppable((signal) => {
      const stream = llama.chat(asked, {
        ...sampling,
        signal,
        onProgress: (reading) => {
          if (answered) return;
          read = reading.done;
          progress.update(reading);
        },
      });
      return follow(
        stream,
        () => read,
        (text) => {
          if (!answered) progress[Symbol.dispose]();
          answered = true;
          writeText(text);
        },
      );
    });
  } catch (error) {
    if (!(error instanceof PolyllamaError)) throw error;
    progress[Symbol.dispose]();
    // A message that cannot be answered is as if it had not been sent.
    note(`error: ${error.message}`);
    if (error instanceof ContextOverflowError)
      note("The conversation has filled the context; /reset starts a new one.");
    return earlier;
  }
  interrupts.signal.throwIfAborted();
  if (answered) print();
  note(summary(result, [`seed ${sampling.seed}`]));
  return result.text.trim() === "" ? earlier : [...asked, { role: "assistant", content: result.text }];
}
