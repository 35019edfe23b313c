// How the hub is reached where options do not say it: by the environment variables and the token file that the hub's
// own programs use, so that whoever logged in with one of them is logged in here, and what one fetched is found.

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { environment, environmentFlag } from "@polyllama/core";

/** The folder of the hub's programs. */
function hubHome(): string {
  return environment("HF_HOME") ?? join(environment("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
}

/** The cache that the hub's libraries share. */
export function defaultHubCache(): string {
  return environment("HF_HUB_CACHE") ?? environment("HUGGINGFACE_HUB_CACHE") ?? join(hubHome(), "hub");
}

export function defaultEndpoint(): string {
  return environment("HF_ENDPOINT") ?? "https://huggingface.co";
}

export function isOffline(): boolean {
  return environmentFlag("HF_HUB_OFFLINE");
}

/** The token of the environment, else that of a login. */
export async function savedToken(): Promise<string | undefined> {
  if (environmentFlag("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return undefined;
  const given = environment("HF_TOKEN") ?? environment("HUGGING_FACE_HUB_TOKEN");
  if (given !== undefined) return given;
  const saved = await readFile(environment("HF_TOKEN_PATH") ?? join(hubHome(), "token"), "utf8").catch(() => "");
  return saved.trim() || undefined;
}
