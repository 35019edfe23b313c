// A chat template rendered as transformers renders it: Jinja's immutable sandbox with trim_blocks, lstrip_blocks and
// loop controls. The library reads the template; what a template means is said here, with Python's values, since the
// library's own evaluation follows JavaScript's in many places where a chat format must not depend on it.

import { spend, startBudget, TemplateError, unsupported } from "./budget.ts";
import { globalScope } from "./globals.ts";
import { setMark } from "./marks.ts";
import { runTemplate } from "./statements.ts";
import { parseTemplate, type Statement } from "./syntax.ts";
import { fromJson } from "./values.ts";

export interface RenderRequest {
  readonly template: string;
  /** What the template is given: plain JSON. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** The character that marks, within the variables' texts, places that the template is not to see. */
  readonly mark?: string;
  /** For `strftime_now`: milliseconds since 1970. */
  readonly now: number;
}

/** UTF-16 units of the longest template; known ones have some 20,000. */
export const longestTemplate: number = 2 ** 18;

let last: { readonly template: string; readonly statements: readonly Statement[] } | undefined;

/**
 * Text of a template, with the marks where they were.
 *
 * @throws {TemplateError}
 */
export function renderTemplate({ template, variables, mark, now }: RenderRequest): string {
  startBudget();
  setMark(mark);
  if (template.length > longestTemplate) {
    throw new TemplateError("limit", `it has more than ${longestTemplate} characters`);
  }
  spend(template.length / 16);
  if (last?.template !== template) last = { template, statements: parseTemplate(template) };
  const scope = globalScope(now);
  for (const [name, value] of Object.entries(variables)) scope.set(name, fromJson(value));
  const text = runTemplate(last.statements, scope);
  if (mark === undefined) return text;
  // Without marks the text must be the same: whatever looks into a text looks past them.
  setMark(undefined);
  startBudget();
  const plain = globalScope(now);
  for (const [name, value] of Object.entries(variables)) plain.set(name, fromJson(withoutMark(value, mark)));
  if (runTemplate(last.statements, plain) === text.replaceAll(mark, "")) return text;
  return unsupported("what it does with the names of control tokens within messages");
}

function withoutMark(value: unknown, mark: string): unknown {
  if (typeof value === "string") return value.replaceAll(mark, "");
  if (Array.isArray(value)) return value.map((entry) => withoutMark(entry, mark));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutMark(entry, mark)]));
}
