// What a run is between two steps, beside weights and moments: everything that makes the next step the same as if the run
// had never ended.

import { createHash } from "node:crypto";
import { PolyllamaError, parseJson } from "@polyllama/core";
import type { Recipe } from "../recipes.ts";
import type { JsonValue } from "../training-data.ts";
import type { Subject } from "./subject.ts";

/** The content of `training/state.json`. */
export interface RunState {
  readonly version: 1;
  /** Updates so far. */
  readonly step: number;
  /** Rows that were trained so far. */
  readonly tokens: number;
  /** Where the data goes on; undefined before the first batch. */
  readonly position?: JsonValue | undefined;
  /** All random numbers of the run come from it; what is drawn of them belongs to the data's position. */
  readonly seed: number;
  readonly recipe: Recipe;
  /** Steps of the whole run, which the learning rate depends on. */
  readonly steps: number;
  /** Digests of what must not change. */
  readonly fingerprints: Fingerprints;
}

/** Digests of what must not change while a run goes on. */
export interface Fingerprints {
  readonly config: string;
  readonly tokenizer: string;
  readonly data: string;
  /** What of the model trains; missing where all of it does. */
  readonly trained?: string;
  /** The model beside which an adapter trains; a run that trains weights of its own has them itself. */
  readonly base?: string;
}

/** The digests of what trains and its data. */
export async function fingerprintsOf({ base, kind, lora }: Subject, data: string): Promise<Fingerprints> {
  const { config, tokenizer } = base;
  const pieces = Array.from({ length: tokenizer?.vocabSize ?? 0 }, (_, id) => [
    tokenizer?.piece(id),
    tokenizer?.kind(id),
  ]);
  return {
    config: digest(JSON.stringify(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)))),
    tokenizer: digest(JSON.stringify([pieces, tokenizer?.bos, tokenizer?.eos])),
    data: digest(data),
    ...(kind !== "all" && { trained: digest(kind) }),
    ...(lora && { base: digest(await base.fingerprint()) }),
  };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** @param path Of the file, for errors. @throws {PolyllamaError} `ERR_CHECKPOINT` for what is no such state. */
export function parseState(text: string, path: string): RunState {
  const state = parseJson(text, path) as Partial<RunState> | null;
  const { version, step, tokens, steps, fingerprints } = state ?? {};
  const isState =
    version === 1 && [step, tokens, steps].every(Number.isSafeInteger) && typeof fingerprints === "object";
  if (isState) return state as RunState; // which wrote it
  throw new PolyllamaError("ERR_CHECKPOINT", `${path}: this is no state of a run that this version reads.`);
}

const names: Readonly<Record<keyof Fingerprints, string>> = {
  config: "the model's configuration",
  tokenizer: "the tokenizer",
  data: "the data or how it is cut into batches",
  trained: "what of the model trains",
  base: "the model beside the adapter",
};

/** @throws {PolyllamaError} `ERR_OPTION` for a run that would not be the same one. */
export function checkFingerprints(saved: Fingerprints, given: Fingerprints, path: string): void {
  const changed = (Object.keys(names) as (keyof Fingerprints)[]).filter((key) => saved[key] !== given[key]); // its own keys
  if (changed.length === 0) return;
  const what = changed.map((key) => names[key]).join(" and ");
  throw new PolyllamaError(
    "ERR_OPTION",
    `${path} cannot be gone on with: ${what} changed since. Use what the run began with, or begin another one in another folder.`,
  );
}

/** What of the recipe is otherwise than in the saved run: "peak 0.01 -> 0.02". */
export function recipeChanges(saved: RunState, recipe: Recipe, steps: number): readonly string[] {
  const before = leaves({ steps: saved.steps, ...saved.recipe });
  const now = leaves(JSON.parse(JSON.stringify({ steps, ...recipe })));
  const names = [...new Set([...before.keys(), ...now.keys()])];
  const changed = names.filter((name) => before.get(name) !== now.get(name));
  return changed.map((name) => `${name} ${before.get(name)} -> ${now.get(name)}`);
}

/** The values of an object that came from JSON, by their paths. */
function leaves(value: object, prefix = ""): ReadonlyMap<string, unknown> {
  const found = Object.entries(value).flatMap(([key, inner]: [string, unknown]): (readonly [string, unknown])[] => {
    if (typeof inner === "object" && inner !== null) return [...leaves(inner, `${prefix}${key}.`)];
    return [[`${prefix}${key}`, inner]];
  });
  return new Map(found);
}
