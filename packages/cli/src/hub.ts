// How the program reaches the hub: options of the command line, else the environment variables and the token file that the
// hub's own programs use, so that whoever logged in with one of them is logged in here.

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
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
export async function hubOf(location: string, flags: HubFlags): Promise<{ readonly hub?: HubOptions }> {
  if (location.startsWith("hf:")) return { hub: await hubOptions(flags) };
  const { token, hubCache, endpoint, offline } = flags;
  for (const [flag, value] of Object.entries({ token, "hub-cache": hubCache, endpoint, offline })) {
    if (value !== undefined) throw new UsageError(`--${flag} belongs to models on the hub (hf:owner/name)`);
  }
  return {};
}

export async function hubOptions(flags: HubFlags): Promise<HubOptions> {
  const cacheRoot = variable("XDG_CACHE_HOME") ?? join(homedir(), ".cache");
  const home = variable("HF_HOME") ?? join(cacheRoot, "huggingface");
  const { endpoint = variable("HF_ENDPOINT"), offline = isSet("HF_HUB_OFFLINE") } = flags;
  const { hubCache = variable("HF_HUB_CACHE") ?? variable("HUGGINGFACE_HUB_CACHE") ?? join(home, "hub") } = flags;
  const token = flags.token ?? (isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") ? undefined : await savedToken(home));
  return {
    cacheFolder: hubCache,
    offline,
    ...(token !== undefined && { token }),
    ...(endpoint !== undefined && { endpoint }),
    onNote: note,
  };
}

async function savedToken(home: string): Promise<string | undefined> {
  const given = variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN");
  if (given !== undefined) return given;
  const saved = await readFile(variable("HF_TOKEN_PATH") ?? join(home, "token"), "utf8").catch(() => "");
  return saved.trim() || undefined;
}

function variable(name: string): string | undefined {
  return process.env[name]?.trim() || undefined;
}

function isSet(name: string): boolean {
  return /^(1|true|yes|on)$/i.test(variable(name) ?? "");
}
