// The environment variables that libraries of polyllama read: these and no others, each because users of the ecosystem
// expect it. docs/hub.md says what each does. Where there is no environment, as in a page, none is set.

/** Names of the variables that are read. */
export type EnvironmentVariable =
  // Folders
  | "XDG_CACHE_HOME" // caches, instead of ~/.cache
  | "LOCALAPPDATA" // caches on Windows
  | "HF_HOME" // what the hub's programs keep
  | "HF_HUB_CACHE"
  | "HUGGINGFACE_HUB_CACHE" // its older name
  // The hub
  | "HF_ENDPOINT"
  | "HF_HUB_OFFLINE"
  | "HF_TOKEN"
  | "HUGGING_FACE_HUB_TOKEN" // its older name
  | "HF_TOKEN_PATH"
  | "HF_HUB_DISABLE_IMPLICIT_TOKEN"
  // Proxies, which the package proxy-from-env reads, with NO_PROXY and in lower case too
  | "HTTPS_PROXY"
  | "HTTP_PROXY"
  | "ALL_PROXY"
  | "https_proxy"
  | "http_proxy"
  | "all_proxy";

/** The value of a variable; undefined where it is not set, empty, or may not be read. */
export function environment(name: EnvironmentVariable): string | undefined {
  try {
    // Node's, if it is there
    const { process } = globalThis as { readonly process?: { readonly env?: Readonly<Record<string, string>> } };
    return process?.env?.[name]?.trim() || undefined;
  } catch {
    return undefined; // Deno asks for permission
  }
}

/** Whether a variable says yes, in one of the ways in which the hub's programs have it. */
export function environmentFlag(name: EnvironmentVariable): boolean {
  return /^(1|true|yes|on)$/i.test(environment(name) ?? "");
}
