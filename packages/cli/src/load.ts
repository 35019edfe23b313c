// Loading the model that the options name, with a progress bar.

import { poet } from "@polyllama/model-poet";
import { type Backend, Llama } from "polyllama";
import { createBackend } from "./backends.ts";
import type { ModelOptions } from "./options.ts";
import { createProgress } from "./progress.ts";

/** A model together with the backend it runs on; disposing it frees both. */
export interface LoadedModel extends AsyncDisposable {
  readonly llama: Llama;
  readonly backend: Backend;
}

export async function loadModel(options: ModelOptions, signal: AbortSignal): Promise<LoadedModel> {
  const { model = poet, context, quantize, tokenizer } = options;
  const backend = await createBackend(options);
  using progress = createProgress("bytes");
  try {
    const llama = await Llama.load(model, {
      backend,
      ...(context !== undefined && { contextLength: context }),
      ...(quantize !== undefined && { quantize }),
      ...(tokenizer !== undefined && { tokenizer }),
      onProgress: progress.update,
      signal,
    });
    return {
      llama,
      backend,
      async [Symbol.asyncDispose]() {
        await llama.dispose();
        await backend[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await backend[Symbol.asyncDispose]();
    throw error;
  }
}
