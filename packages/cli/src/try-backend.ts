// Whether a backend works: it does when it has just written text.

import type { BackendName, BackendOptions } from "./backends.ts";
import { Exit, UsageError } from "./exit.ts";
import { loadModel } from "./load.ts";
import type { Telling } from "./progress.ts";

export interface BackendReport {
  readonly name: BackendName;
  readonly works: boolean;
  readonly device?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  /** Time to load the embedded model and write a few tokens with it. */
  readonly seconds?: number;
  /** Why it does not work. */
  readonly reason?: string;
}

export async function tryBackend(options: BackendOptions & Telling, signal: AbortSignal): Promise<BackendReport> {
  const name = options.backend;
  const started = performance.now();
  try {
    await using model = await loadModel(options, signal);
    const { ids } = await model.llama.complete("春夜\n", { maxTokens: 4, temperature: 0, ignoreEos: true, signal });
    if (ids.length !== 4) return { name, works: false, reason: `wrote ${ids.length} tokens where 4 were asked for` };
    const { device, details } = model.backend.describe();
    const taken = (performance.now() - started) / 1000;
    return { name, works: true, device, details, seconds: taken };
  } catch (error) {
    if (error instanceof Exit || error instanceof UsageError) throw error;
    return { name, works: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
