// A request on its way through the scheduler. All that it is made of are tokens: those of its prompt, and behind them
// those that were chosen. Its KV blocks can be taken from it at any time, since they are computed again from these.

import type { Progress, Sampler, TokenHistory } from "@polyllama/core";
import type { SequenceCache } from "@polyllama/core/device";
import type { ChooseOptions } from "../generation/generate.ts";
import { Delivery } from "./delivery.ts";
import type { RequestOptions } from "./options.ts";
import type { PrefixNode } from "./prefix-cache.ts";

/** What is written, for whom, and how far it is. */
export interface Request {
  /** Order of arrival. */
  readonly number: number;
  /** Higher ones go first. */
  readonly priority: number;
  readonly adapter: string | undefined;
  readonly salt: string | undefined;
  readonly sampler: Sampler;
  readonly logprobs: number | undefined;
  readonly promptLength: number;
  /** Most tokens to choose. */
  readonly count: number;
  /** Tokens behind which nobody wants more. */
  readonly finals: ReadonlySet<number>;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  readonly delivery: Delivery;
  /** The prompt, and what was chosen. */
  readonly tokens: number[];
  /** Of `tokens`, where the host chooses. */
  history: TokenHistory | undefined;
  state: "waiting" | "running" | "ended";
  /** Present while it runs. */
  place: RequestPlace | undefined;
  /** Times that a later one was admitted before it. */
  overtaken: number;
  /** Called when it ends. */
  readonly leave: () => void;
}

/** A running request's KV blocks. */
export interface RequestPlace {
  readonly cache: SequenceCache;
  /** Version of the parameters that they belong to. */
  readonly version: number;
  /** Positions that were found computed. */
  readonly known: number;
  /** Positions of steps that have ended; the cache counts those under way, too. */
  computed: number;
  /** The end of what the prefix cache has of it; undefined where nothing is kept. */
  node: PrefixNode | undefined;
}

/** Who is told what becomes of a request outside of the scheduler. */
export interface RequestEvents {
  /** Its reader took a token. */
  taken(request: Request): void;
  /** Its reader wants no more, or its signal was aborted. */
  left(request: Request): void;
}

/** A request as it arrives, and listens to its signal. @param about What the scheduler knows of it. */
export function createRequest(
  prompt: readonly number[],
  options: ChooseOptions & RequestOptions,
  about: { readonly number: number; readonly capacity: number; readonly adapter: string | undefined },
  events: RequestEvents,
): Request {
  const { sampler, count, logprobs, finals = new Set(), signal } = options;
  const { priority = 0, adapter = about.adapter, salt, onProgress } = options;
  const aborted = (): void => {
    events.left(request);
    request.delivery.fail(signal?.reason);
  };
  const told = { taken: () => events.taken(request), left: () => events.left(request) };
  const request: Request = {
    number: about.number,
    priority,
    adapter,
    salt,
    sampler,
    logprobs,
    promptLength: prompt.length,
    count: Math.min(count, about.capacity - prompt.length + 1),
    finals,
    onProgress,
    delivery: new Delivery(told, signal),
    tokens: [...prompt],
    history: undefined,
    state: "waiting",
    place: undefined,
    overtaken: 0,
    leave: () => signal?.removeEventListener("abort", aborted),
  };
  signal?.addEventListener("abort", aborted, { once: true });
  return request;
}

/** Tokens that were chosen. */
export function chosen({ tokens, promptLength }: Request): number {
  return tokens.length - promptLength;
}

/** Whether two go on from the same parameters and may know of each other's text. */
export function mayShare(a: Request, b: Request): boolean {
  return a.adapter === b.adapter && a.salt === b.salt;
}

/** Whether the device can choose its tokens: nothing but logits, seed and position decide. */
export function drawsOnDevice({ sampler, logprobs }: Request): boolean {
  return sampler.draw !== undefined && logprobs === undefined;
}

/** Which of two goes first: those that were overtaken too often, then by priority, then by arrival. */
export function compareRank(a: Request, b: Request): number {
  return Number(isOverdue(b)) - Number(isOverdue(a)) || b.priority - a.priority || a.number - b.number;
}

/** Times that a request can be overtaken before it goes first, whatever its priority. */
const patience = 16;

function isOverdue({ overtaken }: Request): boolean {
  return overtaken >= patience;
}
