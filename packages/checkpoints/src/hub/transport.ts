// Requests to the hub: repeated with growing pauses where that can help (broken or stalled connections, 429 and 5xx,
// for which the server's own Retry-After counts), and explained where it cannot. The token goes to the hub's own origin
// alone; fetch drops it where a redirect leads elsewhere.

import { setTimeout as pause } from "node:timers/promises";
import { PolyllamaError } from "@polyllama/core";

export interface TransportSettings {
  /** Base URL of the hub, without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  /** `owner/name` and what is wanted of it, for errors. */
  readonly repository: string;
  readonly revision: string;
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly timeout: number;
  /** Milliseconds before the first repetition; each further one waits twice as long. */
  readonly retryDelay: number;
  readonly fetch: typeof fetch;
  /** ` through the proxy ...`, or nothing, for a URL. */
  readonly through: (url: string) => string;
  readonly onNote: (note: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** The hub did not answer, or not as it should, however often it was asked. */
export class Unreachable extends PolyllamaError {
  constructor(message: string, options?: ErrorOptions) {
    super("ERR_HUB", message, options);
  }
}

/** Something that may go well the next time. */
class Passing extends Error {
  /** Milliseconds that the server asks to wait. */
  readonly retryAfter: number | undefined;
  /** Whether there was an answer at all. */
  readonly answered: boolean;

  constructor(message: string, answered: boolean, retryAfter?: number, options?: ErrorOptions) {
    super(message, options);
    this.answered = answered;
    this.retryAfter = retryAfter;
  }
}

const mostAttempts = { answered: 6, unanswered: 3 };
const longestPause = 30_000;
/** A server that asks for more patience than this gets none. */
const longestRetryAfter = 5 * 60_000;

/**
 * Does something until it succeeds, fails for good, or has failed too often since `progress()` last grew.
 *
 * @throws {Unreachable}, the signal's reason, and whatever the attempt throws itself.
 */
export async function repeatedly<T>(
  settings: TransportSettings,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  const { signal, onNote, endpoint } = settings;
  let failures = 0;
  let best = progress();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      if (progress() > best) failures = 0;
      best = Math.max(best, progress());
      failures++;
      const { answered, retryAfter = 0, message } = error;
      const enough = failures >= (answered || best > 0 ? mostAttempts.answered : mostAttempts.unanswered);
      if (enough || retryAfter > longestRetryAfter) {
        const wait = retryAfter > 0 ? ` It asks to be left alone for ${Math.ceil(retryAfter / 1000)} s.` : "";
        throw new Unreachable(`${endpoint} cannot be used now: ${message}.${wait} Try again later.`, { cause: error });
      }
      const backOff = Math.min(longestPause, settings.retryDelay * 2 ** (failures - 1)) * (1 + Math.random() / 4);
      const wait = Math.max(retryAfter, backOff);
      if (wait >= 3000) onNote(`${message}; trying again in ${Math.ceil(wait / 1000)} s.`);
      await pause(wait, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

/**
 * One request, whose body `read` takes; it calls `alive` for every piece that arrives.
 *
 * @throws {Passing} for {@link repeatedly}; {@link PolyllamaError} `ERR_HUB` for what no repetition mends.
 */
export async function request<T>(
  settings: TransportSettings,
  url: string,
  headers: Readonly<Record<string, string>>,
  read: (response: Response, alive: () => void) => Promise<T>,
): Promise<T> {
  const { signal, token, endpoint, timeout } = settings;
  signal?.throwIfAborted();
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), timeout);
  const own = token !== undefined && new URL(url).origin === new URL(endpoint).origin;
  const doFetch = settings.fetch;
  try {
    const response = await doFetch(url, {
      headers: { ...headers, ...(own && { Authorization: `Bearer ${token}` }) },
      signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
    });
    timer.refresh();
    if (response.ok || response.status === 416) return await read(response, () => timer.refresh());
    const text = await response.text().catch(() => "");
    if (response.status === 408 || response.status === 429 || response.status >= 500) {
      throw new Passing(`${statusText(response)}${settings.through(url)}`, true, retryAfter(response));
    }
    throw explain(settings, url, response, text);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Passing || error instanceof PolyllamaError) throw error;
    if (stalled.signal.aborted)
      throw new Passing(`nothing arrived${settings.through(url)} for ${timeout / 1000} s`, false);
    if (error instanceof TypeError) throw new Passing(reasonOf(error), false, undefined, { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    stalled.abort(); // frees the connection of a body that was not read to its end
  }
}

/** What is wrong with an answer that may be right the next time. */
export function broken(message: string): Error {
  return new Passing(message, true);
}

/** `fetch` for the hub's client library, which gets answers as a whole and only good ones. */
export function clientFetch(settings: TransportSettings): typeof fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = Object.fromEntries(new Headers(init?.headers));
    return repeatedly(settings, () =>
      request(settings, url, headers, async (response) => {
        const { status, headers } = response;
        const text = await response.text();
        if (!isJson(text)) throw broken("it sent something else than JSON, such as the login page of a network");
        return new Response(text, { status, headers });
      }),
    );
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function statusText({ status, statusText }: Response): string {
  const meaning = status === 429 ? "too many requests" : statusText || "an error of the server";
  return `it answered ${status} (${meaning})`;
}

/** Milliseconds to wait by `Retry-After`, seconds or a date, or by the hub's own `RateLimit: "api";r=0;t=55`. */
function retryAfter({ headers }: Response): number | undefined {
  const value = headers.get("Retry-After") ?? /;\s*t=(\d+)/.exec(headers.get("RateLimit") ?? "")?.[1];
  if (value === undefined) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

/** What fetch hides in the causes of its TypeError. */
function reasonOf(error: Error): string {
  let inner: unknown = error.cause ?? error;
  if (inner instanceof AggregateError) inner = inner.errors[0] ?? inner;
  return inner instanceof Error ? inner.message || String(inner) : String(inner);
}

/** What a refusal means and what to do about it. */
function explain(settings: TransportSettings, url: string, response: Response, text: string): PolyllamaError {
  const { endpoint, token, repository, revision } = settings;
  const { status, headers } = response;
  const code = headers.get("X-Error-Code") ?? "";
  const page = `${endpoint}/${repository}`;
  const say = (message: string): PolyllamaError => new PolyllamaError("ERR_HUB", message);
  const passToken = "pass it as the option `token` (on the command line --token, or HF_TOKEN in the environment)";
  const through = settings.through(url);
  if (status === 407) {
    return say(
      `The request${through} was refused: the proxy wants a name and a password (407). Put them into HTTPS_PROXY and HTTP_PROXY, ` +
        "as in http://name:password@host:port.",
    );
  }
  if (status === 401 && token !== undefined) {
    return say(
      `${endpoint} does not accept this token (401). Look whether it was copied whole and is still valid at ` +
        `${endpoint}/settings/tokens, then ${passToken}.`,
    );
  }
  if (code === "GatedRepo" && token === undefined) {
    return say(
      `${repository} is gated: its terms have to be accepted first. Log in and accept them at ${page}, create a token ` +
        `at ${endpoint}/settings/tokens that may read gated repositories, and ${passToken}.`,
    );
  }
  if (code === "GatedRepo") {
    return say(
      `${repository} is gated, and the account of this token has no access to it yet. Accept the terms at ${page} and wait ` +
        "until the owner grants access; a fine-grained token also needs the permission to read gated repositories.",
    );
  }
  if (code === "RevisionNotFound") return say(`${repository} has no revision "${revision}". See ${page}/tree/main`);
  if (code === "EntryNotFound") return say(`${repository} no longer has the file ${url}. Pull it again.`);
  if (code === "RepoNotFound" || status === 401 || status === 404) {
    return say(
      `There is no ${repository} at ${endpoint}, or it is private. Check the spelling; for a private one, ` +
        (token === undefined ? `${passToken}.` : "use the token of an account that may read it."),
    );
  }
  const said = headers.get("X-Error-Message") ?? (text.startsWith("<") ? "" : text.slice(0, 300));
  return say(`${endpoint} refused the request for ${repository}${through} (${status}). ${said}`.trim());
}
