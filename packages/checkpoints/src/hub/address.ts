// Addresses of checkpoints on the hub: `hf:owner/name`, with `:file` to choose among its files and `@revision` for
// another branch, tag or commit than `main`. All parts end up in paths and URLs, so that nothing that could leave a
// folder passes.

import { PolyllamaError } from "@polyllama/core";

export const hubScheme = "hf:";

export interface HubAddress {
  /** `owner/name` */
  readonly repository: string;
  /** A file, a folder, or a GGUF type such as `Q4_K_M`. Undefined: whichever suits best. */
  readonly file: string | undefined;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** @throws {PolyllamaError} `ERR_OPTION` */
export function parseHubAddress(text: string): HubAddress {
  const [, repository, file, revision = "main"] =
    /^(?:hf:)?([\w.-]+\/[\w.-]+)(?::([^@]+))?(?:@([\w.+/-]+))?$/.exec(text) ?? [];
  const parts = [repository, file ?? "", revision].flatMap((part) => part?.split("/") ?? [".."]);
  if (repository === undefined || parts.includes("..") || parts.includes(".") || !isRelativePath(revision)) {
    throw new PolyllamaError(
      "ERR_OPTION",
      `"${text}" is no address on the hub. One looks like hf:owner/name, hf:owner/name:Q4_K_M or ` +
        "hf:owner/name:folder/file.gguf@revision.",
    );
  }
  return { repository, file: file?.replace(/\/$/, ""), revision };
}

/** Whether a path with `/` between its parts stays within the folder that it is joined to, on any system. */
export function isRelativePath(path: string): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part));
}
