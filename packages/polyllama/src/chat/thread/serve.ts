// What runs in the worker that renders templates: requests in, texts or reasons out. It says first that it has started, since only then does
// the time of a rendering begin.

import { type FailureKind, TemplateError } from "../jinja/budget.ts";
import { type RenderRequest, renderTemplate } from "../jinja/render.ts";

/** Variables travel as JSON, so that what cannot be sent is found where it was given. */
export interface ThreadRequest extends Omit<RenderRequest, "variables"> {
  readonly variables: string;
}

export type ThreadAnswer =
  | { readonly is: "started" }
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "failure"; readonly kind: FailureKind; readonly message: string };

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
    // Such as a full stack while values are made.
    return { is: "failure", kind: "limit", message: error instanceof Error ? error.message : String(error) };
  }
}
