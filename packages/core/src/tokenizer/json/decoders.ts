// Decoders of tokenizer.json: a chain of steps from tokens to text. Each step here is a stream that hands on what it is
// certain of, so that the whole chain decodes token by token; `decode` is the same chain run to its end. Bytes become
// one U+FFFD each where they are not UTF-8, and the valid characters beside them are kept, as for every vocabulary
// here. Source: github.com/huggingface/tokenizers, tokenizers/src/decoders.

import { quoted } from "../../printable.ts";
import { utf8Stream } from "../utf8.ts";
import { byteOfPiece } from "../vocabulary.ts";
import { type JsonObject, literalPattern, unknownType } from "./fields.ts";
import { literal, mostText, type Pipeline, pipeline, replaceAll, stepsOf } from "./growth.ts";
import { readMetaspace } from "./pre-tokenizers.ts";

/** Receives tokens, or parts of text. */
export interface Sink {
  push(token: string): void;
  end(): void;
}

/** A step in front of another one. Where the tokens continue a text, nothing is at its start. */
export type Step = (next: Sink, continuing: boolean) => Sink;

/** @throws {PolyllamaError} `ERR_TOKENIZER` for an unknown type, or an order that cannot be decoded token by token. */
export function readDecoder(component: JsonObject | undefined): Step[] {
  if (component === undefined) return [joinBySpaces];
  const state = { ...pipeline(), fused: false };
  const steps = readSteps(component, state);
  return [measure(state), ...steps];
}

interface State extends Pipeline {
  /** Whether tokens were joined to one text before. */
  fused: boolean;
}

/** Steps of a component and of those within it. */
function readSteps(component: JsonObject, state: State): Step[] {
  switch (component.get("type")) {
    case "Sequence":
      return stepsOf(component, "decoders", state).flatMap((step) => readSteps(step, state));
    case "Replace": {
      const pattern = literalPattern(component);
      if (state.fused && [...pattern].length > 1) component.refuse("replaces more than one character after Fuse");
      const content = literal(component, "content");
      return [
        (next) => ({
          push: (token) => next.push(replaceAll(token, pattern, content, component, state)),
          end: next.end,
        }),
      ];
    }
    case "ByteFallback":
      if (state.fused) component.refuse("comes after Fuse");
      return [joinBytes];
    case "Fuse":
      state.fused = true;
      return [];
    case "Strip": {
      if (!state.fused) component.refuse("comes without a Fuse before it");
      const content = component.string("content");
      if ([...content].length !== 1) component.refuse(`strips ${quoted(content)}, which is not one character`);
      const [start, stop] = [component.count("start"), component.count("stop")];
      if (Math.max(start, stop) > mostStripped)
        component.refuse(`strips ${Math.max(start, stop)} characters; at most ${mostStripped} are stripped`);
      return [strip(content, start, stop)];
    }
    case "Metaspace": {
      if (state.fused) component.refuse("comes after Fuse");
      const { replacement, prependScheme } = readMetaspace(component);
      return [metaspace(replacement, prependScheme !== "never")];
    }
    default:
      return unknownType(component, "Sequence, Replace, ByteFallback, Fuse, Strip and Metaspace");
  }
}

/** What may have to go from the end is held back and looked at again with each token. */
const mostStripped = 256;

const joinBySpaces: Step = (next, continuing) => {
  let first = !continuing;
  return {
    push(token) {
      next.push(first ? token : ` ${token}`);
      first = false;
    },
    end: next.end,
  };
};

const joinBytes: Step = (next) => {
  const bytes = utf8Stream();
  const hand = (text: string): void => {
    if (text !== "") next.push(text);
  };
  return {
    push(token) {
      const byte = byteOfPiece(token);
      if (byte >= 0) return hand(bytes.push(byte));
      hand(bytes.flush());
      next.push(token);
    },
    end() {
      hand(bytes.flush());
      next.end();
    },
  };
};

/** Says how long a text the steps behind it may make of a token. */
function measure(state: Pipeline): Step {
  return (next) => ({
    push(token) {
      state.most = mostText(token.length);
      next.push(token);
    },
    end() {
      state.most = mostText(0);
      next.end();
    },
  });
}

/** Spaces for the replacement; the first token loses it. */
function metaspace(replacement: string, prefixed: boolean): Step {
  return (next, continuing) => {
    let first = prefixed && !continuing;
    return {
      push(token) {
        next.push(token.replaceAll(replacement, first ? "" : " "));
        first = false;
      },
      end: next.end,
    };
  };
}

/** Takes up to `start` characters away from the start of the text and up to `stop` from its end. */
function strip(content: string, start: number, stop: number): Step {
  return (next, continuing) => {
    let left = continuing ? 0 : start;
    let tail = ""; // what may have to go from the end
    return {
      push(token) {
        let from = 0;
        for (; left > 0 && token.startsWith(content, from); left--) from += content.length;
        if (from < token.length) left = 0;
        const text = tail + token.slice(from);
        let end = text.length;
        for (let i = 0; i < stop && text.endsWith(content, end); i++) end -= content.length;
        tail = text.slice(end);
        if (end > 0) next.push(text.slice(0, end));
      },
      end: next.end,
    };
  };
}
