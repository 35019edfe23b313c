// How the program reaches the hub: by options of the command line, else as the library does, by the environment
// variables and the token file of the hub's own programs.

import type { Command } from "commander";
import type { HubOptions } from "polyllama";
import { UsageError } from "./exit.ts";
import { note } from "./terminal.ts";

export interface HubFlags {
  readonly token?: string;
  readonly hubCache?: string;
  readonly endpoint?: string;
  readonly offline?: boolean;
}

export function addHubOptions(command: Command): Command {
  return command
    .optionsGroup("Hub:")
    .option("--token <token>", "for gated and private repositories (default: HF_TOKEN, or the token of a login)")
    .option("--hub-cache <folder>", "where checkpoints are kept (default: the hub's shared cache)")
    .option("--endpoint <url>", "another hub (default: HF_ENDPOINT, or https://huggingface.co)")
    .option("--offline", "use what the cache has and ask nobody (default: HF_HUB_OFFLINE)");
}

/**
 * The option `hub` of the library, for a location on the hub.
 *
 * @throws {UsageError} when these options are given for another location.
 */
export function hubOf(location: string, flags: HubFlags): { readonly hub?: HubOptions } {
  if (location.startsWith("hf:")) return { hub: hubOptions(flags) };
  const { token, hubCache, endpoint, offline } = flags;
  for (const [flag, value] of Object.entries({ token, "hub-cache": hubCache, endpoint, offline })) {
    if (value !== undefined) throw new UsageError(`--${flag} belongs to models on the hub (hf:owner/name)`);
  }
  return {};
}

/** What options say; the library goes by the environment for the rest. */
export function hubOptions({ token, hubCache, endpoint, offline }: HubFlags): HubOptions {
  return {
    ...(token !== undefined && { token }),
    ...(hubCache !== undefined && { cacheFolder: hubCache }),
    ...(endpoint !== undefined && { endpoint }),
    ...(offline !== undefined && { offline }),
    onNote: note,
  };
}
