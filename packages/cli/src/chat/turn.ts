// One message of a conversation and its answer, as it comes.

import { type ChatMessage, type ChatOptions, fitConversation } from "polyllama";
import type { Interrupts } from "../interrupts.ts";
import type { LoadedModel } from "../load.ts";
import { createProgress, type Telling } from "../progress.ts";
import { follow, type Streamed } from "../stream.ts";

export interface TurnOptions extends ChatOptions {
  readonly seed: number;
}

export interface TurnContext {
  readonly model: LoadedModel;
  readonly interrupts: Interrupts;
  /** Let oldest turns leave where the context is full. */
  readonly contextShift: boolean;
}

export interface Turn {
  /** The conversation that was answered, without the turns that left it. */
  readonly messages: readonly ChatMessage[];
  /** How many messages left. */
  readonly dropped: number;
  readonly result: Streamed;
}

export interface TurnListener extends Telling {
  /** Told before the answer, where messages leave. */
  readonly onDropped?: (count: number) => void;
  /** Receives the answer's text. */
  readonly write: (text: string) => void;
}

/**
 * Answers a conversation.
 *
 * @throws {PolyllamaError} where it cannot be answered.
 */
export async function answer(
  { model: { llama }, interrupts, contextShift }: TurnContext,
  conversation: readonly ChatMessage[],
  options: TurnOptions,
  { onDropped, write, ...telling }: TurnListener,
): Promise<Turn> {
  const { maxTokens = Infinity, template, allowMarkers = false } = options;
  const room = Math.min(maxTokens, Math.floor(llama.contextLength / 4));
  const { messages, dropped } = contextShift
    ? await fitConversation(llama, conversation, { room, allowMarkers, ...(template !== undefined && { template }) })
    : { messages: conversation, dropped: 0 };
  if (dropped > 0) onDropped?.(dropped);
  using progress = createProgress(telling);
  let read = 0;
  let answered = false;
  const result = await interrupts.stoppable((signal) => {
    const stream = llama.chat(messages, {
      ...options,
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
        write(text);
      },
    );
  });
  return { messages, dropped, result };
}
