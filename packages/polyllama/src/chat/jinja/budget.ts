// What one rendering may cost: steps of evaluation, and characters and list entries that it makes. Counted rather than
// timed, so that a template that loops or grows ends at the same place on every machine; the worker's limits of time
// and memory stand behind it. A rendering is synchronous and has its thread for itself, so that there is one count.

/** Why a rendering ended without a text. */
export type FailureKind =
  | "raised" // the template called raise_exception
  | "failed" // Python would raise an error, too
  | "unsupported" // this engine does not know what Python does here
  | "limit" // more steps, text or depth than a chat template needs
  | "bug"; // this engine is wrong, and no template's fault

export class TemplateError extends Error {
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export function fail(message: string): never {
  throw new TemplateError("failed", message);
}

export function unsupported(what: string): never {
  throw new TemplateError("unsupported", `${what} is not supported here`);
}

/** UTF-16 units of the longest text that a template may make. */
const longestText: number = 2 ** 21;
/** Calls of macros within calls; Python's own limit is near this. */
const deepest = 200;
/**
 * Three times what a thousand messages of 400 characters take in most templates, and little memory where each step
 * keeps something.
 */
const mostSteps = 500_000;

let steps = 0;
let depth = 0;

export function startBudget(): void {
  steps = 0;
  depth = 0;
}

export function spend(count: number): void {
  steps += count;
  if (steps > mostSteps) throw new TemplateError("limit", "it takes too many steps: it loops, or repeats itself");
}

/** Counts a text of that length before it is made, and refuses one that is longer than any prompt. */
export function room(length: number): void {
  if (length > longestText) throw new TemplateError("limit", `it makes a text of more than ${longestText} characters`);
  spend(1 + length / 16);
}

/** Counts a text that is walked through character by character, before it is. */
export function walked(text: string): string {
  room(text.length);
  spend(text.length / 4);
  return text;
}

export function made(text: string): string {
  room(text.length);
  return text;
}

/** `parts.join(separator)` */
export function joinTexts(parts: readonly string[], separator: string): string {
  room(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
  spend(parts.length);
  return parts.join(separator);
}

/** Runs a macro's body, one level deeper. */
export function deeper<Result>(run: () => Result): Result {
  if (depth === deepest)
    throw new TemplateError("limit", `its macros call each other more than ${deepest} levels deep`);
  depth++;
  try {
    return run();
  } finally {
    depth--;
  }
}
