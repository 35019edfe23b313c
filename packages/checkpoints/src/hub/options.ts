// What may be asked of the hub, apart from what asks it, so that entries without a hub know its options.

import { type OptionSchema, option, type Progress } from "@polyllama/core";

/** How the hub is reached, and what of it is kept. */
export interface HubOptions {
  /** Access token, for gated and private repositories; default: `HF_TOKEN`, or that of a login. */
  readonly token?: string;
  /** The cache that the hub's libraries share; default `HF_HUB_CACHE`, `HF_HOME/hub` or `~/.cache/huggingface/hub`. */
  readonly cacheFolder?: string;
  /** Default `HF_ENDPOINT` or `https://huggingface.co`. */
  readonly endpoint?: string;
  /** Ask nobody, use what the cache has; default `HF_HUB_OFFLINE`. */
  readonly offline?: boolean;
  /** Bytes of memory that a checkpoint chosen by itself may take; default: what this machine has. */
  readonly memory?: number;
  /** Milliseconds without a byte after which a connection counts as broken; default 30,000. */
  readonly timeout?: number;
  /** Milliseconds before a failed request is repeated, doubled each time; default 500. */
  readonly retryDelay?: number;
  /** Sends the requests; default: the global one, or one that uses the proxies that the environment names. */
  readonly fetch?: typeof fetch;
  /**
   * Gets what people should know, as sentences: what was chosen and why, what is being waited for, that the hub was not
   * reached. Without it the last of these is a warning of the process.
   */
  readonly onNote?: (note: string) => void;
}

/** Options of `pull`. */
export interface PullOptions extends HubOptions {
  /** Bytes that were fetched, of those that were missing. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What each option of {@link HubOptions} takes. */
export const hubOptionTypes: OptionSchema<HubOptions> = {
  token: option.string,
  cacheFolder: option.nonEmptyString,
  endpoint: option.string,
  offline: option.boolean,
  memory: option.number({ least: 0 }),
  timeout: option.number({ least: 1 }),
  retryDelay: option.number({ least: 0 }),
  fetch: option.function,
  onNote: option.function,
};

/** What each option of {@link PullOptions} takes. */
export const pullOptionTypes: OptionSchema<PullOptions> = {
  ...hubOptionTypes,
  onProgress: option.function,
  signal: option.signal,
};
