// `polyllama tokenizer encode` and `decode`: text to ids and back.

import type { Command } from "commander";
import { UsageError } from "../../exit.ts";
import type { Telling } from "../../progress.ts";
import { print, writeText } from "../../terminal.ts";
import { decodeText, readStandardInput } from "../../text-input.ts";
import { load, tokenizerHelp } from "./load.ts";

interface EncodeFlags {
  readonly tokenizer: string;
  readonly bos?: boolean;
  readonly eos?: boolean;
  readonly special?: boolean;
  readonly pieces?: boolean;
  readonly json?: boolean;
}

export function addEncode(parent: Command, signal: AbortSignal): void {
  parent
    .command("encode")
    .summary("Print the token ids of standard input")
    .description("Print the token ids of the text on standard input, taken exactly as it is: a last line break counts.")
    .requiredOption("--tokenizer <file>", tokenizerHelp)
    .option("--bos", "put the beginning-of-sequence token in front")
    .option("--eos", "put the end-of-sequence token behind")
    .option("--special", "read names of control tokens, such as </s>, as those tokens")
    .option("--pieces", "print the pieces instead, one a line")
    .option("--json", 'print {"ids": [...]}')
    .action(
      async ({ tokenizer: path, json = false, pieces, bos = false, eos = false, special = false }: EncodeFlags) => {
        const tokenizer = await load(path, signal);
        const ids = tokenizer.encode(await standardInput(signal, { json }), { bos, eos, special });
        if (json) print(JSON.stringify({ ids, ...(pieces && { pieces: ids.map((id) => tokenizer.piece(id)) }) }));
        else if (pieces) for (const id of ids) print(`${id} ${JSON.stringify(tokenizer.piece(id))}`);
        else print(ids.join(" "));
      },
    );
}

interface DecodeFlags {
  readonly tokenizer: string;
  readonly special?: boolean;
  readonly json?: boolean;
}

export function addDecode(parent: Command, signal: AbortSignal): void {
  parent
    .command("decode")
    .summary("Print the text of token ids")
    .description(
      'Print the text of token ids, given as arguments or on standard input: numbers, or {"ids": [...]}. ' +
        "Nothing is added to the text, not even a line break.",
    )
    .argument("[ids...]", "token ids")
    .requiredOption("--tokenizer <file>", tokenizerHelp)
    .option("--special", "show control tokens by name")
    .option("--json", 'print {"text": "..."}')
    .action(async (given: string[], { tokenizer: path, special = false, json = false }: DecodeFlags) => {
      const tokenizer = await load(path, signal);
      const ids = parseIds(given.length > 0 ? given.join(" ") : await standardInput(signal, { json }));
      const decoded = tokenizer.decode(ids, { special });
      if (json) print(JSON.stringify({ text: decoded }));
      else writeText(decoded);
    });
}

function parseIds(source: string): number[] {
  const list = /^\s*(?:\{\s*"ids"\s*:\s*)?\[?([\d\s,]*)\]?\s*\}?\s*$/.exec(source)?.[1];
  if (list === undefined) throw new UsageError('token ids are expected: numbers, or {"ids": [...]}');
  return (list.match(/\d+/g) ?? []).map(Number);
}

async function standardInput(signal: AbortSignal, telling: Telling): Promise<string> {
  return decodeText(await readStandardInput(signal, "text", telling), "standard input");
}
