// What torch.save writes around its tensors: a program for Python's pickle machine, protocols 2 to 5. Unpickling can
// call anything, which is why files from elsewhere are dangerous to Python. This reader knows the operations that build
// plain values and calls nothing: names are only compared with the few that a state dict consists of, and any other is
// refused.

import { type PickleBytes, pickleBytes } from "./pickle-bytes.ts";
import { call, named, persistent } from "./pickle-calls.ts";
import { type PickleStack, pickleStack } from "./pickle-stack.ts";
import { isKind, kindOf, type Value } from "./pickle-values.ts";

/**
 * Runs the program of a pickle and returns what it leaves. Nothing is called.
 *
 * @throws {CheckpointError} for a pickle that is damaged, or mentions another name than files of tensors do: then with
 * the name.
 */
export function readPickle(bytes: Uint8Array, file: string): Value {
  const source = pickleBytes(bytes, file);
  const stack = pickleStack(source);
  while (true) {
    const opcode = source.u8();
    if (opcode === stopOpcode) {
      const value = stack.pop();
      if (!stack.isEmpty()) source.fail("values are left over at its end");
      return value;
    }
    const operation = operations[opcode];
    if (operation === undefined) source.fail(`the operation 0x${opcode.toString(16)} has no place in a state dict`);
    else operation(stack, source, file);
  }
}

type Operation = (stack: PickleStack, bytes: PickleBytes, file: string) => void;

const stopOpcode = 0x2e;

const asBytes =
  (length: (bytes: PickleBytes) => number): Operation =>
  (stack, bytes) => {
    bytes.skip(length(bytes));
    stack.push({ kind: "bytes" });
  };
const asTuple =
  (count: number): Operation =>
  (stack) =>
    stack.push({ kind: "tuple", items: stack.several(count) });
/** REDUCE, and NEWOBJ: an instance without a word to its constructor. */
const calling: Operation = (stack, bytes) => {
  const [callee, given] = stack.several(2);
  stack.push(call(callee!, given!, bytes, stack)); // as many as were asked for
};

const operations: Readonly<Record<number, Operation>> = {
  /** PROTO */
  128(_, bytes) {
    const protocol = bytes.u8();
    if (protocol > 5) bytes.fail(`protocol ${protocol} is unknown`);
  },
  149: (_, bytes) => void bytes.length(), // FRAME
  40: (stack) => stack.mark(), // MARK
  48: (stack) => void stack.pop(), // POP
  49: (stack) => void stack.popMarked(), // POP_MARK
  78: (stack) => stack.push(null), // NONE
  136: (stack) => stack.push(true), // NEWTRUE
  137: (stack) => stack.push(false), // NEWFALSE
  75: (stack, bytes) => stack.push(bytes.u8()), // BININT1
  77: (stack, bytes) => stack.push(bytes.u16()), // BININT2
  74: (stack, bytes) => stack.push(bytes.i32()), // BININT
  138: (stack, bytes) => stack.push(bytes.integer(bytes.u8())), // LONG1
  139: (stack, bytes) => stack.push(bytes.integer(bytes.u32())), // LONG4
  71: (stack, bytes) => stack.push(bytes.f64()), // BINFLOAT
  88: (stack, bytes) => stack.push(bytes.text(bytes.u32())), // BINUNICODE
  140: (stack, bytes) => stack.push(bytes.text(bytes.u8())), // SHORT_BINUNICODE
  141: (stack, bytes) => stack.push(bytes.text(bytes.length())), // BINUNICODE8
  85: (stack, bytes) => stack.push(bytes.text(bytes.u8())), // SHORT_BINSTRING, as Python 2 wrote texts
  84: (stack, bytes) => stack.push(bytes.text(bytes.u32())), // BINSTRING
  67: asBytes((bytes) => bytes.u8()), // SHORT_BINBYTES
  66: asBytes((bytes) => bytes.u32()), // BINBYTES
  142: asBytes((bytes) => bytes.length()), // BINBYTES8
  150: asBytes((bytes) => bytes.length()), // BYTEARRAY8
  41: asTuple(0), // EMPTY_TUPLE
  133: asTuple(1), // TUPLE1
  134: asTuple(2), // TUPLE2
  135: asTuple(3), // TUPLE3
  116: (stack) => stack.push({ kind: "tuple", items: stack.popMarked() }), // TUPLE
  93: (stack) => stack.push({ kind: "list", items: [] }), // EMPTY_LIST
  108: (stack) => stack.push({ kind: "list", items: stack.popMarked() }), // LIST
  97: (stack) => stack.append([stack.pop()]), // APPEND
  101: (stack) => stack.append(stack.popMarked()), // APPENDS
  125: (stack) => stack.push({ kind: "dict", entries: [] }), // EMPTY_DICT
  /** DICT */
  100(stack) {
    const items = stack.popMarked();
    stack.push({ kind: "dict", entries: [] });
    stack.setItems(items);
  },
  115: (stack) => stack.setItems(stack.several(2)), // SETITEM
  117: (stack) => stack.setItems(stack.popMarked()), // SETITEMS
  113: (stack, bytes) => stack.remember(bytes.u8()), // BINPUT
  114: (stack, bytes) => stack.remember(bytes.u32()), // LONG_BINPUT
  148: (stack) => stack.remember(), // MEMOIZE
  104: (stack, bytes) => stack.recall(bytes.u8()), // BINGET
  106: (stack, bytes) => stack.recall(bytes.u32()), // LONG_BINGET
  /** GLOBAL */
  99(stack, bytes, file) {
    const module = bytes.line();
    stack.push(named(module, bytes.line(), file, bytes));
  },
  /** STACK_GLOBAL */
  147(stack, bytes, file) {
    const [module, name] = stack.several(2);
    stack.push(named(module!, name!, file, bytes)); // as many as were asked for
  },
  81: (stack, bytes) => stack.push(persistent(stack.pop(), bytes)), // BINPERSID
  82: calling, // REDUCE
  129: calling, // NEWOBJ
  143: (stack) => stack.push({ kind: "aside" }), // EMPTY_SET
  144: (stack) => stack.append(stack.popMarked()), // ADDITEMS
  /** FROZENSET */
  145(stack) {
    stack.popMarked();
    stack.push({ kind: "aside" });
  },
  /** BUILD: attributes of an OrderedDict, such as a module's version, say nothing about tensors. */
  98(stack, bytes) {
    stack.pop();
    const target = stack.peek();
    if (!isKind(target, "dict") && !isKind(target, "aside")) bytes.fail(`attributes are set of a ${kindOf(target)}`);
  },
};
