// What only Node has: a disk, the hub's cache, proxies of the environment. Browsers get platform-browser.ts instead, by
// the package's `imports`.

import { fileURLToPath } from "node:url";
import { PolyllamaError } from "@polyllama/core";
import type { PullOptions } from "../hub/options.ts";
import { pull } from "../hub/pull.ts";

export { filesOfPath } from "./disk-files.ts";
export { handleSource } from "./sources/disk.ts";
export { environmentFetch } from "./sources/proxy.ts";

/** The path that an address means; undefined for a URL. @throws {PolyllamaError} `ERR_OPTION` */
export function pathOfAddress(address: string, name: string): string | undefined {
  if (/^(https?|blob|data):/.test(address)) return undefined;
  if (!address.startsWith("file:")) return address;
  try {
    return fileURLToPath(address);
  } catch (cause) {
    throw new PolyllamaError("ERR_OPTION", `${name}: ${address} names no file of this machine.`, { cause });
  }
}

/** The path of a checkpoint on the hub, which is fetched first where the cache lacks it. @throws as `pull` does */
export async function pathOnHub(address: string, options: PullOptions): Promise<string> {
  return (await pull(address, options)).path;
}
