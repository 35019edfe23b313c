// Every error of polyllama says what went wrong, where, and the way out, and carries a code that programs can match.
// An aborted call rejects with its signal's own reason, but for completions, whose text would be lost.

import { printable, quoted } from "./printable.ts";

/** What went wrong, for programs; the message says it to people. */
export type ErrorCode =
  | "ERR_OPTION" // an option is unknown or out of range
  | "ERR_CONFIG" // a configuration is not a Llama that this project computes
  | "ERR_CHECKPOINT" // a file is damaged, incomplete or contradicts its configuration
  | "ERR_HUB" // a checkpoint could not be fetched from the hub
  | "ERR_TOKENIZER" // a tokenizer file is damaged, or text cannot be encoded as asked
  // messages do not form a conversation of the chat format, or the format is not known, or its template fails
  | "ERR_CHAT"
  | "ERR_DATA" // a line of training data is not what its format says
  | "ERR_GRAPH" // a graph, or a step of it, does not fit together
  | "ERR_CONTEXT" // more positions than the cache holds
  | "ERR_UNSUPPORTED" // a backend cannot do this, and says what can
  | "ERR_BACKEND" // a backend or its device failed
  | "ERR_OVERFLOW" // a number left the range of a backend's format; the message names the layer
  | "ERR_DEVICE_LOST" // the device is gone, with all that was on it; load again
  | "ERR_MEMORY" // the device has not the memory that was asked for
  | "ERR_CACHE_FULL" // a pool has fewer free KV blocks than a step needs
  | "ERR_QUEUE_FULL" // too many requests wait already; the same one may be accepted later
  | "ERR_DEPENDENCY" // a step builds upon another one that failed
  | "ERR_PARAMETERS" // parameters were laid out for other graphs, or an update of them was cut short
  | "ERR_BUSY" // the object is in use by another call
  | "ERR_DISPOSED" // the object was already disposed
  | "ERR_ABORTED"; // a completion was aborted; what there was of it is in the error

/** Base of all errors that polyllama throws. `code` is stable; the message is for people, and safe to print. */
export class PolyllamaError extends Error {
  override readonly name: string = "PolyllamaError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(printable(message), options);
    this.code = code;
  }
}

/** Where in a checkpoint something is wrong. */
export interface CheckpointPlace {
  /** Path or URL of the file. */
  readonly file: string;
  /** The tensor's name as stored in that file. */
  readonly tensor?: string;
}

/** A checkpoint file that cannot be read as it is; `file` and `tensor` say where. */
export class CheckpointError extends PolyllamaError {
  override readonly name = "CheckpointError";
  readonly file: string;
  readonly tensor: string | undefined;

  /** @param problem What is wrong. @param remedy What to do about it, as a sentence. */
  constructor(place: CheckpointPlace, problem: string, remedy: string, options?: ErrorOptions) {
    const tensor = place.tensor === undefined ? "" : `, tensor ${quoted(place.tensor)}`;
    super("ERR_CHECKPOINT", `${place.file}${tensor}: ${problem}. ${remedy}`, options);
    this.file = place.file;
    this.tensor = place.tensor;
  }
}

/** More positions were asked for than a cache or model has. */
export class ContextOverflowError extends PolyllamaError {
  override readonly name = "ContextOverflowError";
  /** Positions needed. */
  readonly needed: number;
  /** Positions available. */
  readonly available: number;

  constructor(needed: number, available: number, remedy: string) {
    super("ERR_CONTEXT", `${needed} positions are needed but the context holds ${available}. ${remedy}`);
    this.needed = needed;
    this.available = available;
  }
}

/** Where a device meets its limits, for programs; the message says it to people. */
export interface UnsupportedPlace {
  /** Operation of the graph, or name of a feature. */
  readonly op?: string;
  /** Shapes of its operands, by role. */
  readonly shapes?: Readonly<Record<string, readonly (number | string)[]>>;
  /** Format of its weights, or of a cache. */
  readonly format?: string;
}

/** What a device cannot do, and says what can. */
export class UnsupportedError extends PolyllamaError {
  override readonly name = "UnsupportedError";
  readonly op: string | undefined;
  readonly shapes: Readonly<Record<string, readonly (number | string)[]>> | undefined;
  readonly format: string | undefined;
  readonly remedy: string;

  /** @param problem What it cannot do. @param remedy What to do instead, as a sentence. */
  constructor(problem: string, remedy: string, place: UnsupportedPlace = {}) {
    super("ERR_UNSUPPORTED", `${problem}. ${remedy}`);
    this.op = place.op;
    this.shapes = place.shapes;
    this.format = place.format;
    this.remedy = remedy;
  }
}

/** A pool of KV blocks is full. */
export class CacheFullError extends PolyllamaError {
  override readonly name = "CacheFullError";
  /** Blocks needed. */
  readonly needed: number;
  /** Blocks that are free. */
  readonly free: number;

  constructor(needed: number, free: number, blockRows: number) {
    super(
      "ERR_CACHE_FULL",
      `${needed} KV blocks of ${blockRows} positions are needed but ${free} are free. ` +
        "Dispose or truncate sequences, or make the pool larger.",
    );
    this.needed = needed;
    this.free = free;
  }
}

/**
 * A device has, or may use, less memory than was asked for. Thrown before anything is loaded where that can be known.
 */
export class MemoryError extends PolyllamaError {
  override readonly name = "MemoryError";
  /** What it was for: "The model with a context of 4096 positions", "output.weight". */
  readonly what: string;
  /** Bytes needed. */
  readonly needed: number;
  /** Bytes that there are; undefined where the device does not tell. */
  readonly available: number | undefined;
  /** Positions of a cache that would fit; 0 where not even the weights do, or nobody knows. */
  readonly fittingContext: number;

  constructor(what: string, needed: number, available: number, fittingContext: number);
  /** @param refusal What the device said when it was asked for the bytes. */
  constructor(what: string, needed: number, refusal: string);
  constructor(what: string, needed: number, found: number | string, fittingContext = 0) {
    const amount = (bytes: number): string =>
      bytes < 2 ** 20 ? `${bytes} bytes` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
    const remedy =
      typeof found === "string"
        ? "Use a smaller context, a cache in f16, a stronger quantization or a smaller model, or close what else uses the device."
        : fittingContext > 0
          ? `A context of ${fittingContext} positions would fit.`
          : "Use a smaller model or a stronger quantization.";
    const problem =
      typeof found === "string"
        ? `${what}: the device has no memory left for ${needed} bytes more (${found})`
        : `${what} needs ${amount(needed)} where there are ${amount(found)}`;
    super("ERR_MEMORY", `${problem}. ${remedy}`);
    this.what = what;
    this.needed = needed;
    this.available = typeof found === "number" ? found : undefined;
    this.fittingContext = fittingContext;
  }
}

/** An option or argument is unknown, of a wrong type or out of range. */
export class OptionError extends PolyllamaError {
  override readonly name = "OptionError";
  /** Its name, with a dot for options within options: "hub.token". */
  readonly option: string;
  /** What it takes, in words. */
  readonly expected: string;
  /** What kind of value came: "null", "string", "array", "function", or the class of an object, such as "Map". */
  readonly received: string;

  constructor(message: string, place: { readonly option: string; readonly expected: string; readonly value: unknown }) {
    super("ERR_OPTION", message);
    this.option = place.option;
    this.expected = place.expected;
    this.received = kindOf(place.value);
  }
}

/** What a value is: `typeof`, but "null", "array", and the class of an object that has one. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value !== "object") return typeof value;
  const made: unknown = value.constructor;
  return typeof made === "function" && made !== Object && made.name !== "" ? made.name : "object";
}
