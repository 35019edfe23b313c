// Arguments to parameters, as Python binds them.

import { fail } from "./budget.ts";
import type { Arguments, Value } from "./values.ts";

/**
 * Values of the parameters, in their order. A default that is undefined says that the argument must be given.
 *
 * @throws {TemplateError} for too many arguments, unknown names, and one that is missing
 */
export function bind<const Names extends readonly string[]>(
  where: string,
  names: Names,
  { positional, named }: Arguments,
  defaults: { readonly [Index in keyof Names]: Value | undefined },
): { readonly [Index in keyof Names]: Value } {
  if (positional.length > names.length) fail(`${where} takes at most ${names.length} arguments`);
  for (const name of named.keys()) {
    const at = names.indexOf(name);
    if (at < 0) fail(`${where} got an unexpected keyword argument '${name}'`);
    if (at < positional.length) fail(`${where} got multiple values for argument '${name}'`);
  }
  const values = names.map((name, index) => {
    const value = index < positional.length ? positional[index] : named.has(name) ? named.get(name) : defaults[index];
    return value === undefined ? fail(`${where} lacks the argument '${name}'`) : value;
  });
  return values as { readonly [Index in keyof Names]: Value }; // one for each name
}
