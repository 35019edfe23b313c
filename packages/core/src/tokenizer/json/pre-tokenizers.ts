// Pre-tokenizers of tokenizer.json: how text is cut into words, across which no piece reaches.

import { quoted } from "../../printable.ts";
import { shown } from "../assemble.ts";
import { spaceSymbol } from "../vocabulary.ts";
import { type JsonObject, unknownType } from "./fields.ts";
import { checkGrowth, mostText, type Pipeline, pipeline, stepsOf } from "./growth.ts";

/** @param atStart Whether the stretch begins where the whole text does. */
export type PreTokenizer = (stretch: string, atStart: boolean) => string[];

/**
 * @throws {PolyllamaError} `ERR_TOKENIZER` for an unknown type; the pre-tokenizer throws the same for growth out of
 * proportion.
 */
export function readPreTokenizer(component: JsonObject | undefined): PreTokenizer {
  if (component === undefined) return (stretch) => [stretch];
  const state = pipeline();
  const cut = readStep(component, state);
  return (stretch, atStart) => {
    state.most = mostText(stretch.length);
    return cut(stretch, atStart);
  };
}

function readStep(component: JsonObject, state: Pipeline): PreTokenizer {
  switch (component.get("type")) {
    case "Sequence": {
      const steps = stepsOf(component, "pretokenizers", state).map((step) => readStep(step, state));
      return (stretch, atStart) =>
        steps.reduce(
          (words, step) => {
            const next = words.flatMap((word, i) => step(word, atStart && i === 0));
            checkGrowth(
              component,
              next.reduce((sum, word) => sum + word.length, 0),
              state,
            );
            return next;
          },
          [stretch],
        );
    }
    case "Metaspace": {
      const { replacement, prependScheme } = readMetaspace(component);
      const split = component.boolean("split", true);
      const boundary = new RegExp(`(?=\\u{${replacement.codePointAt(0)!.toString(16)}})`, "u");
      return (stretch, atStart) => {
        const text = stretch.replaceAll(" ", () => replacement);
        const prepend = prependScheme === "always" || (prependScheme === "first" && atStart);
        const word = prepend && !text.startsWith(replacement) ? replacement + text : text;
        return split ? word.split(boundary) : [word];
      };
    }
    default:
      return unknownType(component, "Sequence and Metaspace");
  }
}

/** What pre-tokenizer and decoder of this type have in common; `add_prefix_space` is the older form of the scheme. */
export function readMetaspace(component: JsonObject): { replacement: string; prependScheme: string } {
  const replacement = component.get("replacement") === undefined ? spaceSymbol : component.string("replacement");
  if ([...replacement].length !== 1)
    component.refuse(`replaces spaces by ${quoted(replacement)}, which is not one character`);
  const older = component.boolean("add_prefix_space", true) ? "always" : "never";
  const prependScheme = component.get("prepend_scheme") ?? older;
  if (prependScheme !== "always" && prependScheme !== "first" && prependScheme !== "never") {
    return component.refuse(`has the prepend_scheme ${shown(prependScheme)}`);
  }
  return { replacement, prependScheme };
}
