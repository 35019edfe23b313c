// The same for WGSL and CUDA, by tokens: there is no parser of them here. Comments, directives, attributes and the
// declarations at the beginning of lines are left alone.

import type { Change } from "./changes.ts";

const patterns: readonly (readonly [kind: string, pattern: RegExp, replace: (match: string) => readonly string[]])[] = [
  ["operator", /(?<= )(?:<=|>=|<|>)(?= )/g, (text) => [text.length === 2 ? text[0]! : `${text}=`]],
  ["operator", /(?<=[\w)\]] )[+-](?= )/g, (text) => [text === "+" ? "-" : "+"]],
  ["operator", /(?<= )(?:&&|\|\|)(?= )/g, (text) => [text === "&&" ? "||" : "&&"]],
  ["operator", /(?<= )(?:<<|>>)(?= )/g, (text) => [text === "<<" ? ">>" : "<<"]],
  ["bound", /(?<![\w.@])\d+u?(?![\w.])/g, neighbours],
  ["dropped term", / \+ [\w.]+(?=[;)\],])/g, () => [""]],
  ["negated condition", /(?<=\bif \()[^(){}]+(?=\) )/g, (text) => [`!(${text})`]],
  ["offset", /(?<=\w\[)[^[\]]+(?=\])/g, (text) => [`${text} + 1${text.endsWith("u") ? "u" : ""}`]],
];

function neighbours(text: string): readonly string[] {
  const unit = text.endsWith("u") ? "u" : "";
  const value = Number.parseInt(text, 10);
  return [value + 1, ...(value > 0 ? [value - 1] : [])].map((other) => `${other}${unit}`);
}

export function kernelChanges(text: string): readonly Change[] {
  // Of the same length, so that places stay.
  const code = text.replace(/\/\/.*|\/\*[\s\S]*?\*\/|^\s*(?:#|@|struct|const|var|enable).*$/gm, (skipped) =>
    skipped.replace(/[^\n]/g, " "),
  );
  return patterns.flatMap(([kind, pattern, replace]) =>
    [...code.matchAll(pattern)].flatMap(({ 0: match, index }) =>
      replace(match).map((replacement) => ({ kind, start: index, end: index + match.length, replacement })),
    ),
  );
}
