// Normalizers of tokenizer.json: what happens to text before it is cut.

import { type JsonObject, literalPattern, unknownType } from "./fields.ts";
import { checkGrowth, literal, mostText, type Pipeline, pipeline, replaceAll, stepsOf } from "./growth.ts";

export type Normalizer = (text: string) => string;

/**
 * The normalizer refuses to make a text out of proportion to the one that it is given.
 *
 * @throws {PolyllamaError} `ERR_TOKENIZER` for an unknown type; the normalizer throws the same.
 */
export function readNormalizer(component: JsonObject | undefined): Normalizer {
  if (component === undefined) return (text) => text;
  const state = pipeline();
  const normalize = readStep(component, state);
  return (text) => {
    state.most = mostText(text.length);
    return normalize(text);
  };
}

function readStep(component: JsonObject, state: Pipeline): Normalizer {
  const type = component.get("type");
  switch (type) {
    case "Sequence": {
      const steps = stepsOf(component, "normalizers", state).map((step) => readStep(step, state));
      return (text) => steps.reduce((result, step) => step(result), text);
    }
    case "Prepend": {
      const prefix = literal(component, "prepend");
      return (text) => {
        if (text === "") return "";
        checkGrowth(component, prefix.length + text.length, state);
        return prefix + text;
      };
    }
    case "Replace": {
      const pattern = literalPattern(component);
      const content = literal(component, "content");
      return (text) => replaceAll(text, pattern, content, component, state);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => {
        const normal = text.normalize(type);
        checkGrowth(component, normal.length, state);
        return normal;
      };
    default:
      return unknownType(component, "Sequence, Prepend, Replace, NFC, NFD, NFKC and NFKD");
  }
}
