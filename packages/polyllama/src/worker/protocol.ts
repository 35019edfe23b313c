// What page and worker tell each other: plain data, with errors taken apart and put together again, so that they keep
// class and code on the way.

import type { WebLocation } from "@polyllama/checkpoints";
import {
  CheckpointError,
  ContextOverflowError,
  type DeviceInfo,
  type LlamaConfig,
  MemoryError,
  OptionError,
  PolyllamaError,
  type Progress,
} from "@polyllama/core";
import { ChatTemplateError } from "../chat/error.ts";
import type { ChatMessage, ChatPrompt, RenderChatOptions } from "../chat/prompt.ts";
import type { Piece } from "../generation/generate.ts";
import type { ChatOptions, LlamaGenerateOptions, LoadOptions } from "../options.ts";

type Local = "backend" | "onProgress" | "signal";

export type PlainLoadOptions = Omit<LoadOptions, Local>;
export type PlainGenerateOptions = Omit<LlamaGenerateOptions, Local | "sequence">;
export type PlainChatOptions = Omit<ChatOptions, Local | "sequence">;

export type PlainRenderChatOptions = Omit<RenderChatOptions, Local>;

export type Request =
  | { readonly do: "load"; readonly location: string | WebLocation; readonly options: PlainLoadOptions }
  | { readonly do: "generate"; readonly prompt: string | readonly number[]; readonly options: PlainGenerateOptions }
  | { readonly do: "chat"; readonly messages: readonly ChatMessage[]; readonly options: PlainChatOptions }
  | { readonly do: "render"; readonly messages: readonly ChatMessage[]; readonly options: PlainRenderChatOptions }
  | { readonly do: "abort" }
  | { readonly do: "dispose" };

/** A request carries the number of its call; `abort` that of the call that it ends. */
export type RequestMessage = Request & { readonly call: number };

export type Answer =
  | { readonly is: "progress"; readonly progress: Progress }
  | { readonly is: "piece"; readonly piece: Piece }
  | { readonly is: "done"; readonly model?: ModelInfo; readonly prompt?: ChatPrompt }
  | { readonly is: "error"; readonly error: PlainError };

export type AnswerMessage = Answer & { readonly call: number };

/** What a page may want to show of a model. */
export interface ModelInfo {
  readonly name: string;
  readonly config: LlamaConfig;
  readonly contextLength: number;
  readonly loadSeconds: number;
  readonly device: DeviceInfo;
  /** Format of each weight's storage: how many weights have it. */
  readonly formats: Readonly<Record<string, number>>;
}

interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** Of errors of polyllama: code and what else they carry. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

const classes = { PolyllamaError, ChatTemplateError, CheckpointError, ContextOverflowError, MemoryError, OptionError };

export function takeApart(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack } = error;
  const common = { name, message, ...(stack !== undefined && { stack }) };
  if (!(error instanceof PolyllamaError)) return common;
  const { name: _, cause: __, ...fields } = error;
  return { ...common, fields };
}

export function putTogether({ name, message, stack, fields }: PlainError): Error {
  const error = new Error(message);
  const prototype = Object.entries(classes).find(([known]) => known === name)?.[1].prototype;
  if (prototype !== undefined) Object.setPrototypeOf(error, prototype);
  return Object.assign(error, { name, ...(stack !== undefined && { stack }), ...fields });
}
