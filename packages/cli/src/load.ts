// Loading the model that the options name, with a progress bar.

import { existsSync } from "node:fs";
import type { Device } from "@polyllama/core/device";
import { poet } from "@polyllama/model-poet";
import { type Checkpoint, CheckpointError, Llama, openCheckpoint } from "polyllama";
import { createBackend } from "./backends.ts";
import { UsageError } from "./exit.ts";
import { type HubFlags, hubOf } from "./hub.ts";
import type { ModelOptions } from "./options.ts";
import { createProgress, type Telling } from "./progress.ts";
import { note } from "./terminal.ts";

/** A model together with the backend it runs on; disposing it frees both. */
export interface LoadedModel extends AsyncDisposable {
  readonly llama: Llama;
  readonly backend: Device;
}

/** Opens a checkpoint alone, and fetches it first where it lies on the hub. */
export async function openModel(
  location: string,
  options: Pick<ModelOptions, "tokenizer" | "ignoreTensors" | "fitVocabulary"> & HubFlags & Telling,
  signal: AbortSignal,
): Promise<Checkpoint> {
  const { tokenizer, ignoreTensors, fitVocabulary } = options;
  const hub = hubOf(location, options);
  using progress = createProgress(options);
  const opening = openCheckpoint(location, {
    ...(tokenizer !== undefined && { tokenizer }),
    ...(ignoreTensors !== undefined && { ignoreTensors }),
    ...(fitVocabulary && { fitVocabulary }),
    ...hub,
    onProgress: progress.update,
    signal,
  });
  const checkpoint = await opening.catch((error: unknown) => refuse(location, error));
  progress[Symbol.dispose]();
  for (const notice of checkpoint.notices) note(notice);
  return checkpoint;
}

export async function loadModel(options: ModelOptions & Telling, signal: AbortSignal): Promise<LoadedModel> {
  const { model = poet, context, quantize, cacheFormat, tokenizer, ignoreTensors, fitVocabulary, adapter } = options;
  const hub = hubOf(model, options);
  const backend = await createBackend(options);
  using progress = createProgress(options);
  try {
    const llama = await Llama.load(model, {
      backend,
      ...(context !== undefined && { contextLength: context }),
      ...(quantize !== undefined && { quantize }),
      ...(cacheFormat !== undefined && { cacheFormat }),
      ...(tokenizer !== undefined && { tokenizer }),
      ...(ignoreTensors !== undefined && { ignoreTensors }),
      ...(fitVocabulary && { fitVocabulary }),
      ...(adapter !== undefined && { adapter }),
      ...hub,
      onProgress: progress.update,
      signal,
    });
    progress[Symbol.dispose]();
    for (const notice of llama.checkpoint.notices) note(notice);
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
    return refuse(model, error);
  }
}

/** Where a location does not exist and looks like a repository, the error says how one is named. */
function refuse(location: string, error: unknown): never {
  const isRepository = /^[\w.-]+\/[\w.-]+(?::[^@]+)?(?:@[\w.+/-]+)?$/.test(location) && !/^\.{1,2}\//.test(location);
  if (!(error instanceof CheckpointError) || !isRepository || existsSync(location)) throw error;
  throw new UsageError(
    `${location}: there is no such file or folder. For a repository on the hub write hf:${location}`,
  );
}
