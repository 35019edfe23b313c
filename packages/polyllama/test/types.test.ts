// The types of the public API, as those who use it meet them; tsc checks what is said here.

import type { Device } from "@polyllama/core/device";
import { expectTypeOf, test } from "vitest";
import {
  type ChatMessage,
  type ChatPrompt,
  type ChatTemplateError,
  type Completion,
  type ContextOverflowError,
  type FittedConversation,
  fitConversation,
  Llama,
  type LoadOptions,
  type MemoryError,
  type Piece,
  type PolyllamaError,
  type Sequence,
  type Tensor,
} from "../src/index.ts";
import { WorkerLlama } from "../src/worker.ts";

test("loading", () => {
  expectTypeOf(Llama.load).returns.resolves.toEqualTypeOf<Llama>();
  expectTypeOf<{ backend: Device }>().toExtend<LoadOptions>();
  expectTypeOf<{ backend: Promise<Device> }>().toExtend<LoadOptions>();
  expectTypeOf<{ contextLength: number }>().not.toExtend<LoadOptions>();
  expectTypeOf<string | URL | Uint8Array | Blob | File>().toExtend<Parameters<typeof Llama.load>[0]>();
  expectTypeOf<number>().not.toExtend<Parameters<typeof Llama.load>[0]>();
  expectTypeOf<Llama>().toExtend<AsyncDisposable>();
  expectTypeOf<Sequence>().toExtend<Disposable>();
});

test("text and conversations", () => {
  type Prompt = string | readonly number[];
  expectTypeOf<Llama["generate"]>().parameter(0).toEqualTypeOf<Prompt>();
  expectTypeOf<Llama["generate"]>().returns.toEqualTypeOf<AsyncGenerator<Piece, void, undefined>>();
  expectTypeOf<Llama["complete"]>().returns.resolves.toEqualTypeOf<Completion>();
  expectTypeOf<Llama["chat"]>().parameter(0).toEqualTypeOf<readonly ChatMessage[]>();
  expectTypeOf<Llama["chat"]>().returns.toEqualTypeOf<AsyncGenerator<Piece, void, undefined>>();
  expectTypeOf<Llama["renderChat"]>().returns.resolves.toEqualTypeOf<ChatPrompt>();
  expectTypeOf<Llama["values"]>().returns.resolves.toEqualTypeOf<readonly Tensor[]>();
  expectTypeOf(fitConversation).returns.resolves.toEqualTypeOf<FittedConversation>();
  expectTypeOf<{ role: "user"; content: string }>().toExtend<ChatMessage>();
  expectTypeOf<{ role: string }>().not.toExtend<ChatMessage>();
  expectTypeOf<Piece["finish"]>().toEqualTypeOf<"eos" | "stop" | "length" | "context" | undefined>();
  expectTypeOf<Completion["ids"]>().toEqualTypeOf<readonly number[]>();
});

test("a model in a worker", () => {
  expectTypeOf(WorkerLlama.load).returns.resolves.toEqualTypeOf<WorkerLlama>();
  expectTypeOf<WorkerLlama["generate"]>().returns.toEqualTypeOf<ReturnType<Llama["generate"]>>();
  expectTypeOf<WorkerLlama["chat"]>().returns.toEqualTypeOf<ReturnType<Llama["chat"]>>();
  expectTypeOf<WorkerLlama["renderChat"]>().returns.toEqualTypeOf<ReturnType<Llama["renderChat"]>>();
  type Options = NonNullable<Parameters<typeof WorkerLlama.load>[2]>;
  expectTypeOf<Options>().not.toHaveProperty("backend");
  expectTypeOf<NonNullable<Parameters<WorkerLlama["generate"]>[1]>>().not.toHaveProperty("sequence");
});

test("errors have their fields", () => {
  expectTypeOf<ContextOverflowError>().toExtend<
    PolyllamaError & { readonly needed: number; readonly available: number }
  >();
  expectTypeOf<MemoryError>().toExtend<PolyllamaError>();
  expectTypeOf<ChatTemplateError["kind"]>().toEqualTypeOf<"raised" | "failed" | "unsupported" | "limit" | "bug">();
});
