// Requests by the proxies that the environment names (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, also in lower
// case), which Node's own fetch ignores. The library that speaks to proxies is loaded when there is one. Every hop of a
// redirect is asked anew, as NO_PROXY may name its host.

import { environment } from "@polyllama/core";
import { getProxyForUrl } from "proxy-from-env";

const variables = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"] as const;

/** ` through the proxy http://host:port`, for errors; empty where there is none for the URL. Without a password. */
export function throughProxy(url: string): string {
  const proxy = proxyFor(url);
  if (proxy === undefined) return "";
  const { protocol, host } = new URL(proxy);
  return ` through the proxy ${protocol}//${host}`;
}

/** `fetch` as the environment wants it: the global one where it names no proxy. */
export async function environmentFetch(): Promise<typeof fetch> {
  if (variables.every((name) => environment(name) === undefined)) return fetch;
  const undici = await import("undici");
  const proxies = new Map<string, InstanceType<typeof undici.ProxyAgent>>();
  const agentOf = (proxy: string) => {
    // Plain http is asked of the proxy as such: many allow tunnels to port 443 alone.
    const agent = proxies.get(proxy) ?? new undici.ProxyAgent({ uri: proxy, proxyTunnel: false });
    proxies.set(proxy, agent);
    return agent;
  };
  const dispatcher = new undici.Agent().compose((direct) => (options, handler) => {
    const proxy = proxyFor(String(options.origin));
    return proxy === undefined ? direct(options, handler) : agentOf(proxy).dispatch(options, handler);
  });
  return async (input, init = {}) => {
    const url = input instanceof Request ? input.url : String(input);
    const { method = "GET", signal = null } = init;
    try {
      const headers = [...new Headers(init.headers)];
      const answer = await undici.fetch(url, { method, signal, headers, dispatcher });
      const { status, statusText } = answer;
      // As a response of this realm: undici's types differ in trifles from the global ones that Node has from it.
      const body = answer.body as ReadableStream<Uint8Array> | null;
      return new Response(body, { status, statusText, headers: [...answer.headers] });
    } catch (error) {
      if (signal?.aborted || throughProxy(url) === "") throw error;
      throw new TypeError("fetch failed", {
        cause: new Error(`${innermost(error)}${throughProxy(url)}`, { cause: error }),
      });
    }
  };
}

/** The proxy for a URL, with a scheme. @throws {PolyllamaError} */
function proxyFor(url: string): string | undefined {
  const found = getProxyForUrl(url);
  if (found === "") return undefined;
  // Without a scheme it is a proxy that is spoken to in http, as curl has it, not one of the URL's own scheme.
  const isWhole = variables.some((name) => environment(name) === found);
  return isWhole ? found : found.replace(/^https:/, "http:");
}

/** What fetch hides in the causes of its TypeError. */
function innermost(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  if (inner instanceof AggregateError) inner = inner.errors[0] ?? inner;
  return inner instanceof Error ? inner.message || String(inner) : String(inner);
}
