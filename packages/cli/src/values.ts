// What the values of options are parsed with.

import { InvalidArgumentError } from "commander";

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
