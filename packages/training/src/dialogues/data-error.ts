// What is wrong with a line of training data, and where.

import { PolyllamaError } from "@polyllama/core";

/** Where a dialogue stands. */
export interface DataPlace {
  /** Name of the file, for errors. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** A line of training data that is not what its format says; `file`, `line` and `field` say where. */
export class DataError extends PolyllamaError {
  override readonly name = "DataError";
  readonly file: string;
  readonly line: number;
  /** Within the line, such as `messages[1].content`; undefined where it is the whole of it. */
  readonly field: string | undefined;

  /** @param problem What is wrong with the field, as the end of a sentence that begins with it. */
  constructor({ file, line }: DataPlace, field: string | undefined, problem: string, options?: ErrorOptions) {
    super("ERR_DATA", `${file}, line ${line}${field === undefined ? "" : `, ${field}`}: ${problem}.`, options);
    this.file = file;
    this.line = line;
    this.field = field;
  }
}
