// One message of a conversation and its answer, as it comes.

import { type ChatMessage, type ChatOptions, fitConversation, type Piece } from "polyllama";
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
  /** What was read, where it was asked for: the conversation as tokens. */
  readonly promptIds: readonly number[];
  readonly result: Streamed;
}

export interface TurnListener extends Telling {
  /** Told before the answer, where messages leave. */
  readonly onDropped?: (count: number) => void;
  /** Receives the answer's text. */
  readonly write: (text: string) => void;
  readonly wantsPromptIds?: boolean;
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
  { onDropped, write, wantsPromptIds = false, ...telling }: TurnListener,
): Promise<Turn> {
  const { maxTokens = Infinity, template, allowMarkers = false } = options;
  const room = Math.min(maxTokens, Math.floor(llama.contextLength / 4));
  const format = { allowMarkers, ...(template !== undefined && { template }) };
  using progress = createProgress(telling);
  let [messages, dropped]: readonly [readonly ChatMessage[], number] = [conversation, 0];
  let promptIds: readonly number[] = [];
  let read = 0;
  let answered = false;
  // Templates take their time, too, so that making the conversation fit is part of what Ctrl-C stops.
  async function* stream(signal: AbortSignal): AsyncGenerator<Piece> {
    if (contextShift) {
      ({ messages, dropped } = await fitConversation(llama, conversation, { room, ...format, signal }));
      if (dropped > 0) onDropped?.(dropped);
    }
    if (wantsPromptIds) promptIds = (await llama.renderChat(messages, { ...format, signal })).ids;
    yield* llama.chat(messages, {
      ...options,
      signal,
      onProgress: (reading) => {
        if (answered) return;
        read = reading.done;
        progress.update(reading);
      },
    });
  }
  const result = await interrupts.stoppable((signal) =>
    follow(
      stream(signal),
      () => read,
      (text) => {
        if (!answered) progress[Symbol.dispose]();
        answered = true;
        write(text);
      },
    ),
  );
  return { messages, dropped, promptIds, result };
}
