// The post-processor of tokenizer.json: which tokens are put around a text.

import { quoted } from "../../printable.ts";
import { type JsonObject, unknownType } from "./fields.ts";

export interface Template {
  /** Id of the token in front of the text. */
  readonly before: number | undefined;
  /** Id of the token behind it. */
  readonly after: number | undefined;
}

/** @throws {PolyllamaError} `ERR_TOKENIZER` for an unknown type, or a template of more than one token on a side. */
export function readTemplate(component: JsonObject | undefined): Template {
  if (component === undefined) return { before: undefined, after: undefined };
  if (component.get("type") !== "TemplateProcessing") unknownType(component, "TemplateProcessing");
  const sides: [number[], number[]] = [[], []];
  let side: 0 | 1 = 0;
  for (const element of component.objects("single")) {
    if (element.get("Sequence") !== undefined) {
      if (side === 1) component.refuse("repeats the text");
      side = 1;
      continue;
    }
    const name = element.object("SpecialToken").string("id");
    const ids = component.object("special_tokens").object(name).list("ids");
    for (const id of ids)
      sides[side].push(typeof id === "number" ? id : component.refuse(`has no ids for ${quoted(name)}`));
  }
  if (side === 0) component.refuse("leaves out the text");
  for (const ids of sides) {
    if (ids.length > 1) component.refuse(`puts ${ids.length} tokens on one side of the text; one is supported`);
  }
  return { before: sides[0][0], after: sides[1][0] };
}
