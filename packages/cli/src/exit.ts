// How the program ends early. Exit codes: 0 done, 1 failure, 2 wrong usage, 128 + n for signal n (130 is Ctrl-C).

/** Ends the program with this code and without a word; whoever throws it has said what there was to say. */
export class Exit extends Error {
  override readonly name = "Exit";
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** The command line asks for something that does not exist or does not fit together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
