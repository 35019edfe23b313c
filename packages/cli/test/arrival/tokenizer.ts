// Options of the commands of `polyllama tokenizer`.

import { expect } from "vitest";
import { type CommandRows, command, json, type Row, row } from "./rows.ts";

const overwrite = (existing: string): Row =>
  row("--overwrite", { error: null, "writeWhole.path": existing }, ["--output", existing]);

/** @param existing A file that is there. */
export const tokenizerCommands = (existing: string): readonly CommandRows[] => [
  command("tokenizer encode --tokenizer a", { "readTokenizer.path": "a", "encode.text": "Hello\n" }, [
    row("--tokenizer b", { "readTokenizer.path": "b" }),
    row("--bos", { "encode.bos": true }),
    row("--eos", { "encode.eos": true }),
    row("--special", { "encode.special": true }),
    row("--pieces", { stdout: '1 "a"\n' }),
    json(/^\{"ids":\[1\]\}\n$/),
  ]),
  command("tokenizer decode --tokenizer a 1 2", { "readTokenizer.path": "a", "decode.ids": [1, 2], stdout: "text" }, [
    row("--tokenizer b", { "readTokenizer.path": "b" }),
    row("--special", { "decode.special": true }),
    json(/^\{"text":"text"\}\n$/),
  ]),
  command(`tokenizer train ${existing} --output @new --vocab-size 300`, { "writeWhole.path": "@new" }, [
    row("--output @other", { "writeWhole.path": "@other" }),
    row("--vocab-size 301", { "train.vocabSize": 301 }),
    row("--coverage 0.99", { "train.characterCoverage": 0.99 }),
    row("--no-byte-fallback", { "train.byteFallback": false }),
    row("--no-split-digits", { "train.splitDigits": false }),
    row("--no-split-numbers", { "train.splitByNumber": false }),
    row("--no-split-scripts", { "train.splitByUnicodeScript": false }),
    row("--no-space-pieces", { "train.allowWhitespaceOnlyPieces": false }),
    row("--no-prefix", { "train.addDummyPrefix": false }),
    row("--remove-extra-spaces", { "train.removeExtraWhitespaces": true }),
    row("--max-piece-length 8", { "train.maxPieceLength": 8 }),
    row("--max-line-bytes 100", { "train.maxLineBytes": 100 }),
    row("--user-symbol <a>", { "train.userDefinedSymbols": ["<a>"] }),
    row("--control-symbol <b>", { "train.controlSymbols": ["<b>"] }),
    overwrite(existing),
  ]),
  command(
    `tokenizer merge ${existing} ${existing} --output @new`,
    { "merge.base": existing, "merge.extra": existing },
    [row("--output @other", { "writeWhole.path": "@other" }), overwrite(existing)],
  ),
  command(`tokenizer stats ${existing} --tokenizer a`, { "readTokenizer.path": "a" }, [
    row("--tokenizer b", { "readTokenizer.path": ["a", "b"], "encode.text": expect.any(Array), ...both("bos", "eos") }),
    json(/"files": \[/),
  ]),
];

function both(...names: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(names.map((name) => [`encode.${name}`, expect.any(Array)]));
}
