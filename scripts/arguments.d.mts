// Types of arguments.mjs.

import type { ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
/** What stands beside an option in the help; of a boolean that is true by default, what `--no-NAME` does. */
type Described<T extends Options> = { readonly [Name in keyof T]: T[Name] & { readonly about: string } };

/**
 * The values of a program's options. Prints them and ends with 0 for `--help`; ends with 2 for what is wrong.
 *
 * @param command How the program is started: "npm run fuzz".
 * @param about What it does.
 */
export declare function readArguments<const T extends Options>(
  command: string,
  about: string,
  options: Described<T>,
): ReturnType<typeof parseArgs<{ readonly options: T }>>["values"];
