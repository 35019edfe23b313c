// How the program ends early, and what its exit codes mean.

/** What an exit code says, for people. 128 + n stands for signal n. */
export const exitCodes = {
  "0": "done, also when the reader of the output left early",
  "1": "failure; --verbose shows where it comes from. For doctor: the chosen backend does not work; for parity: not all backends agree; for verify: the checkpoints differ",
  "2": "wrong usage",
  "130, 143, 129": "ended by Ctrl-C, SIGTERM, SIGHUP",
} as const;

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

/** Standard output does not take what is written, as on a full disk. */
export class OutputError extends Error {
  override readonly name = "OutputError";

  constructor(cause: NodeJS.ErrnoException) {
    const reasons: Readonly<Record<string, string>> = {
      ENOSPC: "there is no space left where it goes",
      EDQUOT: "the quota is used up where it goes",
      EIO: "the device it goes to has failed",
      EFBIG: "the file it goes to is as large as it may become",
    };
    super(`Standard output cannot be written: ${reasons[cause.code ?? ""] ?? cause.message}.`, { cause });
  }
}
