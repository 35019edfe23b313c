// What the values of options are parsed with.

import { InvalidArgumentError, Option } from "commander";

/** Parses an integer of at least `least`. */
export function integer(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`An integer of at least ${least} is expected.`);
  };
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("A number is expected.");
}

export function collect(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

/** Tokens by id or name. Digits are an id: tokens whose names are digits have ids too. */
export function collectTokens(text: string, earlier: readonly (number | string)[] = []): readonly (number | string)[] {
  return [...earlier, /^\d+$/.test(text) ? Number(text) : text];
}

export function logitBias(
  text: string,
  earlier: Readonly<Record<number, number>> = {},
): Readonly<Record<number, number>> {
  const [, id, value = ""] = /^(\d+)=(.+)$/.exec(text) ?? [];
  const bias = /^-inf(inity)?$/i.test(value) ? -Infinity : Number(value);
  if (id === undefined || Number.isNaN(bias)) {
    throw new InvalidArgumentError("TOKEN=NUMBER is expected, such as 13=-2.5 or 13=-inf.");
  }
  return { ...earlier, [id]: bias };
}

/** llama.cpp's mixtures, by the formats that most of their matrices have. */
const otherMixtures = /^(?:q2_k_[sl]|q3_k_[sml]|q[456]_k_[lx]+|iq\d\w*|tq\d\w*|mxfp4\w*)$/;

/**
 * An option that takes the name of a format as this program, llama.cpp or the hub spell it, in letters of any size:
 * `q4_0`, `Q4_0`, `q4-k-m`.
 */
export function formatOption(flags: string, description: string, known: readonly string[]): Option {
  return new Option(flags, description).choices(known).argParser((text: string) => {
    const name = text.toLowerCase().replaceAll("-", "_");
    const aliases: Readonly<Record<string, string>> = { fp16: "f16", fp32: "f32", q6_k_m: "q6_k", q6_k_s: "q6_k" };
    const found = known.find((own) => own === (aliases[name] ?? name));
    if (found !== undefined) return found;
    const why = otherMixtures.test(name)
      ? `${text} is a format or mixture of llama.cpp that cannot be written here. `
      : "";
    throw new InvalidArgumentError(`${why}Allowed choices are ${known.join(", ")}.`);
  });
}
