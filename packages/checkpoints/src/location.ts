// What a checkpoint and a tokenizer can be opened from, told by what an object can do and not by its class, since classes differ
// between runtimes and pages.

import { type OptionType, option } from "@polyllama/core";

const blob = option.having(["slice", "arrayBuffer", "stream"], "a File or Blob");
const handle = option.having(["getFile"], "a file handle");

/** Where a checkpoint is. */
export const checkpointLocation: OptionType = {
  expected: "a path, a URL, a File, Blob or file handle, or a list of Files",
  accepts: (value) =>
    isAddress(value) ||
    blob.accepts(value) ||
    handle.accepts(value) ||
    (Array.isArray(value) && value.length > 0 && value.every((each) => blob.accepts(each))),
  required: true,
  remedy: remedyFor,
};

/** Where a tokenizer is. */
export const tokenizerLocation: OptionType = {
  expected: "a path, a URL, a File, Blob or file handle",
  accepts: (value) => isAddress(value) || blob.accepts(value) || handle.accepts(value),
  remedy: remedyFor,
};

function isAddress(value: unknown): boolean {
  return (typeof value === "string" && value !== "") || value instanceof URL;
}

function remedyFor(value: unknown): string | undefined {
  if (option.having(["then"], "").accepts(value)) return "Await it before.";
  return undefined;
}
