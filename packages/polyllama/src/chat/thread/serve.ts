// What runs in the worker that renders templates: requests in, texts or reasons out. It says first that it has started,
// since only then does the time of a rendering begin.

import { type FailureKind, TemplateError } from "../jinja/budget.ts";
import { type RenderRequest, renderTemplate } from "../jinja/render.ts";

/** Variables travel as JSON, so that what cannot be sent is found where it was given. */
export interface ThreadRequest extends Omit<RenderRequest, "variables"> {
  readonly variables: string;
}

export type ThreadAnswer =
  | { readonly is: "started" }
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "failure"; readonly kind: FailureKind; readonly message: string; readonly stack?: string };

export interface ThreadScope {
  postMessage(answer: ThreadAnswer): void;
  onRequest(listener: (request: ThreadRequest) => void): void;
}

export function serveRendering(scope: ThreadScope): void {
  scope.onRequest((request) => scope.postMessage(render(request)));
  scope.postMessage({ is: "started" });
}

function render(request: ThreadRequest): ThreadAnswer {
  try {
    return { is: "text", text: renderTemplate({ ...request, variables: JSON.parse(request.variables) }) };
  } catch (error) {
    if (error instanceof TemplateError) return { is: "failure", kind: error.kind, message: error.message };
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    if (exhausted.test(message)) return { is: "failure", kind: "limit", message };
    // What the template does wrong is found by the engine, so that any other error is the engine's own.
    return { is: "failure", kind: "bug", message: `${name}: ${message}`, ...(stack !== undefined && { stack }) };
  }
}

/** Errors of JavaScript engines where a template takes too much: a full stack, a text that is too long, no memory. */
const exhausted = /call stack|too much recursion|string length|out of memory|allocation/i;
