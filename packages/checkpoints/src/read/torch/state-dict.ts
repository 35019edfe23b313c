// Where the tensors stand in what torch.save wrote. Mostly it is the dict of tensors itself; training runs save it
// beside an optimizer and counters, under a name of its own.

import { CheckpointError, quoted } from "@polyllama/core";
import { type Dict, isKind, kindOf, type PickledTensor, type Value } from "./pickle-values.ts";

/** The tensors of a file by name, in their order. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, PickledTensor>;
  /** What was passed over, a sentence each. */
  readonly notices: readonly string[];
}

/** Names under which training runs keep the tensors of their model. */
const usual = ["state_dict", "model_state_dict", "model", "module", "net"];

/** @throws {CheckpointError} where there is no dict of tensors, or there are several. */
export function stateDictOf(top: Value, file: string): StateDict {
  if (!isKind(top, "dict")) throw notStateDict(file, `a ${kindOf(top)}`);
  const entries = named(top, file);
  const within = entries.filter(([key, value]) => usual.includes(key) && hasTensors(value));
  if (entries.some(([, value]) => isKind(value, "tensor")) || within.length === 0) return collect(entries, file);
  const [[key, value] = ["", top], ...others] = within;
  if (others.length > 0) {
    throw notStateDict(file, `tensors under ${within.map(([name]) => quoted(name)).join(" and ")}`);
  }
  const beside = entries.filter(([name]) => name !== key).map(([name]) => name);
  const { tensors, notices } = collect(named(value as Dict, file), file); // hasTensors is true of dicts alone
  return {
    tensors,
    notices: [...passedOver(beside, `The tensors stand under ${quoted(key)}; passed over beside them:`), ...notices],
  };
}

function collect(entries: readonly (readonly [string, Value])[], file: string): StateDict {
  const tensors = new Map<string, PickledTensor>();
  const others: string[] = [];
  for (const [key, value] of entries) {
    if (tensors.has(key)) {
      throw new CheckpointError(
        { file },
        `${quoted(key)} stands there twice`,
        "The file is damaged; download or copy it again.",
      );
    }
    if (isKind(value, "tensor")) tensors.set(key, value);
    else others.push(key);
  }
  const first = entries.find(([, value]) => !isKind(value, "tensor"));
  if (tensors.size === 0 && first !== undefined) {
    throw notStateDict(file, `a dict whose ${quoted(first[0])} is a ${kindOf(first[1])}`);
  }
  return { tensors, notices: passedOver(others, "Passed over what is no tensor:") };
}

function named(dict: Dict, file: string): (readonly [string, Value])[] {
  return dict.entries.map(([key, value]) => {
    if (typeof key !== "string") throw notStateDict(file, `a dict with a ${kindOf(key)} as key`);
    return [key, value];
  });
}

function hasTensors(value: Value): boolean {
  return isKind(value, "dict") && value.entries.some(([, entry]) => isKind(entry, "tensor"));
}

function passedOver(names: readonly string[], what: string): string[] {
  const more = names.length > 5 ? ` and ${names.length - 5} more` : "";
  return names.length === 0
    ? []
    : [
        `${what} ${names
          .slice(0, 5)
          .map((name) => quoted(name))
          .join(", ")}${more}.`,
      ];
}

function notStateDict(file: string, found: string): CheckpointError {
  return new CheckpointError(
    { file },
    `it holds ${found}, not a dict of tensors`,
    "Save the model's state_dict() alone.",
  );
}
