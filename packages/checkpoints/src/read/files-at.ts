// From whatever names or holds files to the files.

import { filesOfPath, handleSource, pathOfAddress } from "#read/platform";
import { addressOf, isByteSource, isBytes, isOpenFile, type WebLocation } from "../location.ts";
import type { Files } from "./files.ts";
import { blobSource } from "./sources/blob.ts";
import { bytesAlone, type Fetching, fileAlone, filesBehind, filesChosen } from "./web-files.ts";

/** @param option Name of the option, for errors. @throws {OptionError}; `PolyllamaError` `ERR_UNSUPPORTED` in a page */
export async function filesAt(location: string | WebLocation, option: string, fetching: Fetching): Promise<Files> {
  if (typeof location === "string" || location instanceof URL) {
    const address = addressOf(location, option);
    const path = pathOfAddress(address, option);
    return path === undefined ? filesBehind(address, fetching) : filesOfPath(path);
  }
  if (isBytes(location)) return bytesAlone(location);
  if (location instanceof Blob) return fileAlone(blobSource(location));
  if (isOpenFile(location)) return fileAlone(await handleSource(location));
  if (isByteSource(location)) return fileAlone(location);
  return "getFile" in location ? fileAlone(blobSource(await location.getFile())) : filesChosen(location);
}
