// Normalizers of tokenizer.json: what happens to text before it is cut.

import { type JsonObject, literalPattern, unknownType } from "./fields.ts";

export type Normalizer = (text: string) => string;

/** @throws {PolyllamaError} `ERR_TOKENIZER` for an unknown type. */
export function readNormalizer(component: JsonObject | undefined): Normalizer {
  if (component === undefined) return (text) => text;
  const type = component.get("type");
  switch (type) {
    case "Sequence": {
      const steps = component.objects("normalizers").map(readNormalizer);
      return (text) => steps.reduce((result, step) => step(result), text);
    }
    case "Prepend": {
      const prefix = component.string("prepend");
      return (text) => (text === "" ? "" : prefix + text);
    }
    case "Replace": {
      const pattern = literalPattern(component);
      const content = component.string("content");
      return (text) => text.replaceAll(pattern, () => content);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    default:
      return unknownType(component, "Sequence, Prepend, Replace, NFC, NFD, NFKC and NFKD");
  }
}
