// What stands for the calls of a pickle: nothing is called, but the few names of a state dict are known by what they
// would make.

import type { PickleBytes } from "./pickle-bytes.ts";
import { calledBy } from "./pickle-names.ts";
import type { PickleStack } from "./pickle-stack.ts";
import { isCount, isCounts, isKind, kindOf, type PickledTensor, type Value } from "./pickle-values.ts";

type Fail = Pick<PickleBytes, "fail">;

/** A name of Python's. @throws {CheckpointError} for any that files of tensors do not have. */
export function named(module: Value, name: Value, file: string, { fail }: Fail): Value {
  if (typeof module !== "string" || typeof name !== "string") return fail("a name is not a text");
  return { kind: "name", name: calledBy(module, name, file) };
}

/** The storage that a persistent id stands for. */
export function persistent(id: Value, { fail }: Fail): Value {
  const [tag, type, storage, , elements] = isKind(id, "tuple") ? id.items : [];
  if (tag !== "storage" || !isKind(type, "name") || typeof type.name === "string") return fail("this is no storage");
  if (typeof storage !== "string" || !isCount(elements)) return fail("a storage has no name or size");
  return { kind: "storage", dtype: type.name.dtype, storage, elements };
}

/** What a call would make. */
export function call(callee: Value, given: Value, { fail }: Fail, stack: Pick<PickleStack, "count">): Value {
  if (!isKind(callee, "name") || !isKind(given, "tuple")) return fail(`a ${kindOf(callee)} is called`);
  if (typeof callee.name === "object") return fail("a storage is called");
  const { items } = given;
  switch (callee.name) {
    case "dict":
      return { kind: "dict", entries: items.flatMap((item) => pairs(item, { fail }, stack)) };
    case "tensor":
      return tensor(items, { fail });
    case "parameter":
      return isKind(items[0], "tensor") ? items[0] : fail("a parameter is no tensor");
    case "typed tensor": {
      const [how, type, of] = items;
      if (!isKind(how, "name") || how.name !== "tensor" || !isKind(of, "tuple"))
        return fail("a tensor is made in an unknown way");
      if (!isKind(type, "name") || type.name !== "tensor class") return fail("a tensor is of an unknown class");
      return tensor(of.items, { fail });
    }
    case "tensor class":
      return fail("a class of tensors is called");
    case "aside":
      return { kind: "aside" };
  }
}

/**
 * The pairs that a dict is made of: a list of two values each; what else may stand there says how to make missing ones.
 */
function pairs(given: Value, { fail }: Fail, stack: Pick<PickleStack, "count">): [Value, Value][] {
  if (!isKind(given, "list"))
    return isKind(given, "name") || given === null ? [] : fail("a dict is made of something else than pairs");
  stack.count(given.items.length);
  return given.items.map((pair) => {
    const items = isKind(pair, "list") || isKind(pair, "tuple") ? pair.items : [];
    return items.length === 2 ? [items[0]!, items[1]!] : fail("a dict is made of something else than pairs");
  });
}

function tensor([storage, first, shape, strides, , , metadata]: readonly Value[], { fail }: Fail): PickledTensor {
  if (isKind(metadata, "dict") && metadata.entries.length > 0)
    return fail("a tensor is conjugated, negated or otherwise marked");
  if (!isKind(storage, "storage") || !isCount(first)) return fail("a tensor has no storage");
  if (!isCounts(shape) || !isCounts(strides) || shape.items.length !== strides.items.length) {
    return fail("a tensor has no proper shape and strides");
  }
  const { dtype, storage: name, elements } = storage;
  return {
    kind: "tensor",
    dtype,
    storage: name,
    storageElements: elements,
    first,
    shape: shape.items,
    strides: strides.items,
  };
}
