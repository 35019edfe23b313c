// Errors of the library in the words of the command line. The library speaks of its options, which here have flags;
// this is the one place that knows which. What an error says in fields is said anew; in what it says in words, names
// are replaced.

import { ContextOverflowError, MemoryError, OptionError } from "@polyllama/core";

/** Flags of the library's options, where they are not the option's own name with dashes. */
const flags: Readonly<Record<string, string>> = {
  contextLength: "--context",
  stopTokens: "--stop-token",
  shardBytes: "--shard-size",
  "hub.token": "--token",
  "hub.cacheFolder": "--hub-cache",
  "hub.endpoint": "--endpoint",
  "hub.offline": "--offline",
  characterCoverage: "--coverage",
  maxPieceLength: "--max-piece-length",
};

/** Flags that a command has instead, by its name. */
const ownFlags: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "extend-vocab": { tokenizer: "--base-tokenizer" }, // where --tokenizer is the larger one
};

/** Options whose names are no words of the language, so that they mean the option wherever they stand. */
const names = [
  ...["contextLength", "maxTokens", "topK", "topP", "minP", "repetitionPenalty", "presencePenalty", "frequencyPenalty"],
  ...["logitBias", "stopTokens", "ignoreEos", "cacheFolder", "shardBytes", "allowMarkers", "vocabSize"],
  ...["characterCoverage", "maxPieceLength", "maxLineBytes"],
];

/** The flag of an option of the library. */
export function flagOf(option: string, command = ""): string {
  const own = option.replace(/\[\d+\]$/, "");
  return ownFlags[command]?.[own] ?? flags[own] ?? `--${own.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** What an error says, in the words of the command line. @param command Name of the one that runs. */
export function inOwnWords(error: Error, command?: string): string {
  if (error instanceof ContextOverflowError) {
    const { needed, available } = error;
    return `${needed} positions are needed but the context holds ${available}. Shorten the text, or give a larger --context where the model has one.`;
  }
  if (error instanceof MemoryError && error.fittingContext > 0) {
    return withFlags(error.message.replace(/A context of (\d+) positions would fit\./, "--context $1 would fit."));
  }
  if (isPackedWeightsError(error)) {
    return (
      `${error.problem} Free space there, or give --cache-folder a folder that can be written and has ${error.bytes} bytes free; ` +
      "--no-cache packs into the system's temporary folder each time, which TMPDIR (on Windows TEMP) names."
    );
  }
  if (error instanceof OptionError) {
    const message = error.message.replace(/^[\w.]+(?:\(\))?: /, "");
    return withFlags(
      message.replace(new RegExp(`(?<![\\w-])${literally(error.option)}(?![\\w-])`), flagOf(error.option)),
    );
  }
  return withFlags(error.message, command);
}

/** What the library says about chat formats, with the command line's ways out. */
export function chatWords(message: string): string {
  return message
    .replace("or mend this one: `template: { jinja }`", "or mend this one: --template FILE.jinja")
    .replace("or { jinja } with a template", "or the path of a .jinja file")
    .replace(/(?:with the option )?`template`/, (whole) =>
      whole.startsWith("with") ? "with --template" : "--template",
    );
}

/** What the library says of both, its option and the flag, is said of the flag alone. */
function flagsAlone(message: string): string {
  return message
    .replace(
      /(?:the option `\w+`|\w+: \[[^\]]*\]) \(on the command line (--[\w-]+(?: '[^']*')?)(?:, ([^)]*))?\)/g,
      (_, flag: string, rest?: string) => (rest === undefined ? flag : `${flag} (${rest})`),
    )
    .replace(/\(\w+[;,](?: or)? (--[\w-]+) on the command line\)/g, "($1)")
    .replace(
      /read it whole with the option `inMemory: true`; in a page `keep: true` .*$/,
      "download the file and give its path.",
    );
}

function withFlags(message: string, command?: string): string {
  return chatWords(flagsAlone(message))
    .replace(/\b(?:cpu|onnxruntime)\(\{ cacheFolder: false \}\)/g, "--no-cache")
    .replace(/\bcacheFolder: false\b/g, "--no-cache")
    .replace(/\b(?:cpu|onnxruntime|cuda|webgpu)\(\{ (\w+) \}\)/g, (_, name: string) => flagOf(name))
    .replace(/(?:the option )?`(\w+): (?:"path"|"[^"]*")`/g, (_, name: string) => `${flagOf(name)} FILE`)
    .replace(/the option `tokenizer`/g, flagOf("tokenizer", command))
    .replace(/`(\w+): true`/g, (_, name: string) => flagOf(name))
    .replace(/`(\w+): (\d+)`/g, (_, name: string, value: string) => `${flagOf(name)} ${value}`)
    .replace(new RegExp(`(?<![\\w/."'-])(?:${names.join("|")})(?![\\w/"'-]|\\.\\w)`, "g"), flagOf);
}

/** Its class is the onnxruntime backend's, which need not be loaded to say that it failed. */
function isPackedWeightsError(error: Error): error is Error & { readonly problem: string; readonly bytes: number } {
  return error.name === "PackedWeightsError" && "problem" in error && "bytes" in error;
}

function literally(text: string): string {
  return text.replace(/[^\w]/g, "\\$&");
}
