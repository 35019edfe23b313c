// What stands in the place of platform.ts in a browser, where there are neither paths nor a cache of the hub.

import { PolyllamaError } from "@polyllama/core";
import type {
  environmentFetch as environmentFetchInNode,
  filesOfPath as filesOfPathInNode,
  handleSource as handleSourceInNode,
  pathOfAddress as pathOfAddressInNode,
  pathOnHub as pathOnHubInNode,
} from "./platform.ts";

export const environmentFetch: typeof environmentFetchInNode = async () => globalThis.fetch;

/** Addresses are URLs here, relative to the page. */
export const pathOfAddress: typeof pathOfAddressInNode = (address) => {
  if (!address.startsWith("file:")) return undefined;
  return refuse(`${address}: a page cannot open files by their path; let its user choose the file, and give that.`);
};

export const filesOfPath: typeof filesOfPathInNode = (path) => refuse(`${path}: a page has no paths.`);

export const handleSource: typeof handleSourceInNode = () =>
  refuse("A file by its number is read in Node only; give a File or Blob.");

export const pathOnHub: typeof pathOnHubInNode = (address) =>
  refuse(`${address} is fetched in Node only; in a page, give the file's https URL.`);

function refuse(message: string): never {
  throw new PolyllamaError("ERR_UNSUPPORTED", message);
}
