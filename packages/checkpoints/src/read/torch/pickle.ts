// What torch.save writes around its tensors: a program for Python's pickle machine, protocols 2 to 5. Unpickling can call
// anything, which is why files from elsewhere are dangerous to Python. This reader knows the operations that build plain
// values and calls nothing: names are only compared with the few that a state dict consists of, and any other is refused.

import { CheckpointError } from "@polyllama/core";
import { type Called, calledBy } from "./pickle-names.ts";

/** A tensor as the pickle describes it; the bytes are elsewhere. */
export interface PickledTensor {
  readonly kind: "tensor";
  /** As safetensors writes it: F32, F16, BF16 and so on. */
  readonly dtype: string;
  /** Name of its storage. */
  readonly storage: string;
  /** Elements that its storage holds. */
  readonly storageElements: number;
  /** Its first element within the storage. */
  readonly first: number;
  readonly shape: readonly number[];
  /** Elements from one index to the next, per dimension. */
  readonly strides: readonly number[];
}

export type Value =
  | string
  | number
  | boolean
  | null
  | PickledTensor
  | { readonly kind: "bytes" }
  | { readonly kind: "list"; readonly items: Value[] }
  | { readonly kind: "tuple"; readonly items: readonly Value[] }
  | Dict
  | { readonly kind: "aside" }
  | { readonly kind: "name"; readonly name: Called }
  | { readonly kind: "storage"; readonly dtype: string; readonly storage: string; readonly elements: number };

export interface Dict {
  readonly kind: "dict";
  readonly entries: [Value, Value][];
}

/** Values that one pickle may build: far above any checkpoint's, and little memory. */
const MOST_VALUES = 2 ** 18;

/**
 * Runs the program of a pickle and returns what it leaves. Nothing is called.
 *
 * @throws {CheckpointError} for a pickle that is damaged, or mentions another name than files of tensors do: then with the name.
 */
export function readPickle(bytes: Uint8Array, file: string): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const stack: Value[] = [];
  const marks: number[] = [];
  const memo = new Map<number, Value>();
  let position = 0;
  let built = 0;

  const fail = (problem: string): never => {
    throw damaged(file, `byte ${position} of its pickle: ${problem}`);
  };
  const take = (length: number): number => {
    const start = position;
    if (length > bytes.length - start) fail(`${length} bytes are declared, but ${bytes.length - start} are left`);
    position += length;
    return start;
  };
  const u8 = (): number => view.getUint8(take(1));
  const u32 = (): number => view.getUint32(take(4), true);
  const length64 = (): number => {
    const value = view.getBigUint64(take(8), true);
    return value <= BigInt(bytes.length) ? Number(value) : fail(`a length of ${value} is declared`);
  };
  const text = (length: number): string => {
    const start = take(length);
    try {
      return utf8.decode(bytes.subarray(start, start + length));
    } catch {
      return fail("a text is not UTF-8");
    }
  };
  const line = (): string => {
    const end = bytes.indexOf(10, position);
    if (end < 0 || end - position > 256) return fail("a name does not end");
    const name = text(end - position);
    take(1);
    return name;
  };
  /** A little-endian integer of so many bytes, in two's complement. */
  const integer = (length: number): number => {
    if (length > 8) fail(`an integer of ${length} bytes`);
    const start = take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[start + i]!);
    const signed = length > 0 ? BigInt.asIntN(8 * length, value) : 0n;
    const rounded = Number(signed);
    return Number.isSafeInteger(rounded) ? rounded : fail(`the integer ${signed} is impossible`);
  };
  const push = (value: Value): void => {
    if (++built > MOST_VALUES) fail(`more than ${MOST_VALUES} values`);
    stack.push(value);
  };
  const floor = (): number => marks.at(-1) ?? 0;
  const pop = (): Value => (stack.length > floor() ? stack.pop()! : fail("nothing is left on the stack"));
  const peek = (): Value => (stack.length > floor() ? stack.at(-1)! : fail("nothing is left on the stack"));
  const popMarked = (): Value[] => stack.splice(marks.pop() ?? fail("a mark is missing"));
  const several = (count: number): Value[] => {
    if (stack.length - floor() < count) fail("nothing is left on the stack");
    return stack.splice(stack.length - count);
  };
  const remember = (key: number): void => {
    if (memo.size > MOST_VALUES) fail(`more than ${MOST_VALUES} memoized values`);
    memo.set(key, peek());
  };
  const recall = (key: number): void => push(memo.get(key) ?? (memo.has(key) ? null : fail(`${key} was not memoized`)));
  const append = (items: readonly Value[]): void => {
    const list = peek();
    if (isKind(list, "list")) for (const item of items) list.items.push(item);
    else if (!isKind(list, "aside")) fail(`a ${kindOf(list)} is appended to`);
  };
  const setItems = (items: readonly Value[]): void => {
    const dict = peek();
    if (isKind(dict, "dict") && items.length % 2 === 0) {
      for (let i = 0; i < items.length; i += 2) dict.entries.push([items[i]!, items[i + 1]!]);
    } else if (!isKind(dict, "aside")) fail(`items are set of a ${kindOf(dict)}`);
  };
  const named = (module: Value, name: Value): Value => {
    if (typeof module !== "string" || typeof name !== "string") return fail("a name is not a text");
    return { kind: "name", name: calledBy(module, name, file) };
  };
  const persistent = (id: Value): Value => {
    const [tag, type, storage, , elements] = isKind(id, "tuple") ? id.items : [];
    if (tag !== "storage" || !isKind(type, "name") || typeof type.name === "string") return fail("this is no storage");
    if (typeof storage !== "string" || !isCount(elements)) return fail("a storage has no name or size");
    return { kind: "storage", dtype: type.name.dtype, storage, elements };
  };
  const call = (callee: Value, given: Value): Value => {
    if (!isKind(callee, "name") || !isKind(given, "tuple")) return fail(`a ${kindOf(callee)} is called`);
    if (typeof callee.name === "object") return fail("a storage is called");
    const { items } = given;
    switch (callee.name) {
      case "dict":
        return { kind: "dict", entries: items.flatMap(pairs) };
      case "tensor":
        return tensor(items);
      case "parameter":
        return isKind(items[0], "tensor") ? items[0] : fail("a parameter is no tensor");
      case "typed tensor": {
        const [how, type, of] = items;
        if (!isKind(how, "name") || how.name !== "tensor" || !isKind(of, "tuple"))
          return fail("a tensor is made in an unknown way");
        if (!isKind(type, "name") || type.name !== "tensor class") return fail("a tensor is of an unknown class");
        return tensor(of.items);
      }
      case "tensor class":
        return fail("a class of tensors is called");
      case "aside":
        return { kind: "aside" };
    }
  };
  /** The pairs that a dict is made of: a list of two values each; what else may stand there says how to make missing ones. */
  const pairs = (given: Value): [Value, Value][] => {
    if (!isKind(given, "list"))
      return isKind(given, "name") || given === null ? [] : fail("a dict is made of something else than pairs");
    built += given.items.length;
    if (built > MOST_VALUES) fail(`more than ${MOST_VALUES} values`);
    return given.items.map((pair) => {
      const items = isKind(pair, "list") || isKind(pair, "tuple") ? pair.items : [];
      return items.length === 2 ? [items[0]!, items[1]!] : fail("a dict is made of something else than pairs");
    });
  };
  const tensor = ([storage, first, shape, strides, , , metadata]: readonly Value[]): PickledTensor => {
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
  };

  while (true) {
    const opcode = u8();
    switch (opcode) {
      case 0x80: {
        const protocol = u8();
        if (protocol > 5) fail(`protocol ${protocol} is unknown`);
        break;
      }
      case 0x95: // FRAME
        length64();
        break;
      case 0x2e: {
        // STOP
        const value = pop();
        if (stack.length > 0 || marks.length > 0) fail("values are left over at its end");
        return value;
      }
      case 0x28: // MARK
        if (marks.length >= MOST_VALUES) fail("marks are nested too deep");
        marks.push(stack.length);
        break;
      case 0x30: // POP
        pop();
        break;
      case 0x31: // POP_MARK
        popMarked();
        break;
      case 0x4e:
        push(null);
        break;
      case 0x88:
        push(true);
        break;
      case 0x89:
        push(false);
        break;
      case 0x4b: // BININT1
        push(u8());
        break;
      case 0x4d: // BININT2
        push(view.getUint16(take(2), true));
        break;
      case 0x4a: // BININT
        push(view.getInt32(take(4), true));
        break;
      case 0x8a: // LONG1
        push(integer(u8()));
        break;
      case 0x8b: // LONG4
        push(integer(u32()));
        break;
      case 0x47: // BINFLOAT
        push(view.getFloat64(take(8), false));
        break;
      case 0x58: // BINUNICODE
        push(text(u32()));
        break;
      case 0x8c: // SHORT_BINUNICODE
        push(text(u8()));
        break;
      case 0x8d: // BINUNICODE8
        push(text(length64()));
        break;
      case 0x55: // SHORT_BINSTRING, as Python 2 wrote texts
        push(text(u8()));
        break;
      case 0x54: // BINSTRING
        push(text(u32()));
        break;
      case 0x43: // SHORT_BINBYTES
        take(u8());
        push({ kind: "bytes" });
        break;
      case 0x42: // BINBYTES
        take(u32());
        push({ kind: "bytes" });
        break;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        take(length64());
        push({ kind: "bytes" });
        break;
      case 0x29: // EMPTY_TUPLE
        push({ kind: "tuple", items: [] });
        break;
      case 0x85: // TUPLE1
      case 0x86:
      case 0x87:
        push({ kind: "tuple", items: several(opcode - 0x84) });
        break;
      case 0x74: // TUPLE
        push({ kind: "tuple", items: popMarked() });
        break;
      case 0x5d: // EMPTY_LIST
        push({ kind: "list", items: [] });
        break;
      case 0x6c: // LIST
        push({ kind: "list", items: popMarked() });
        break;
      case 0x61: {
        // APPEND
        const item = pop();
        append([item]);
        break;
      }
      case 0x65: // APPENDS
        append(popMarked());
        break;
      case 0x7d: // EMPTY_DICT
        push({ kind: "dict", entries: [] });
        break;
      case 0x64: {
        // DICT
        const items = popMarked();
        push({ kind: "dict", entries: [] });
        setItems(items);
        break;
      }
      case 0x73: // SETITEM
        setItems(several(2));
        break;
      case 0x75: // SETITEMS
        setItems(popMarked());
        break;
      case 0x71: // BINPUT
        remember(u8());
        break;
      case 0x72: // LONG_BINPUT
        remember(u32());
        break;
      case 0x94: // MEMOIZE
        remember(memo.size);
        break;
      case 0x68: // BINGET
        recall(u8());
        break;
      case 0x6a: // LONG_BINGET
        recall(u32());
        break;
      case 0x63: {
        // GLOBAL
        const module = line();
        push(named(module, line()));
        break;
      }
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = several(2);
        push(named(module!, name!));
        break;
      }
      case 0x51: // BINPERSID
        push(persistent(pop()));
        break;
      case 0x52: {
        // REDUCE
        const [callee, given] = several(2);
        push(call(callee!, given!));
        break;
      }
      case 0x81: {
        // NEWOBJ: an instance without a word to its constructor
        const [type, given] = several(2);
        push(call(type!, given!));
        break;
      }
      case 0x8f: // EMPTY_SET
        push({ kind: "aside" });
        break;
      case 0x90: // ADDITEMS
        append(popMarked());
        break;
      case 0x91: // FROZENSET
        popMarked();
        push({ kind: "aside" });
        break;
      case 0x62: {
        // BUILD: attributes of an OrderedDict, such as a module's version, say nothing about tensors
        pop();
        const target = peek();
        if (!isKind(target, "dict") && !isKind(target, "aside")) fail(`attributes are set of a ${kindOf(target)}`);
        break;
      }
      default:
        fail(`the operation 0x${opcode.toString(16)} has no place in a state dict`);
    }
  }
}

type Kind = Extract<Value, { readonly kind: string }>["kind"];

export function isKind<K extends Kind>(
  value: Value | undefined,
  kind: K,
): value is Extract<Value, { readonly kind: K }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

export function kindOf(value: Value): string {
  if (value === null) return "None";
  return typeof value === "object" ? value.kind : typeof value;
}

function isCount(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: Value | undefined): value is { readonly kind: "tuple"; readonly items: readonly number[] } {
  return isKind(value, "tuple") && value.items.length <= 8 && value.items.every(isCount);
}

function damaged(file: string, problem: string): CheckpointError {
  return new CheckpointError({ file }, problem, "The file is damaged; download or copy it again.");
}
