// Writes ONNX models. An ONNX model is a protobuf message (onnx/onnx.proto); the few fields that this backend needs are
// written here one by one, under their field numbers. Large weights are not inside: an initializer names a place in the
// packed file beside the model.

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type ElementType, elementType } from "../ort/api.ts";

/** Name of a tensor within a model; the empty name leaves an optional input or output out. */
export type TensorName = string;

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };

/** Where a weight's bytes lie. */
export interface ExternalTensor {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** File name, relative to the model's folder. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** A dimension: a number, or a name for one that is only known at run time. */
export type Dimension = number | string;

const microsoft = new Set([
  "BiasGelu",
  "FusedMatMul",
  "GroupQueryAttention",
  "MatMulNBits",
  "QuickGelu",
  "RotaryEmbedding",
  "SkipSimplifiedLayerNormalization",
]);

/** Collects a graph's parts in order and writes them as a model. */
export interface ModelWriter {
  /** Adds an operator. Its domain follows from its type. */
  node(
    type: string,
    inputs: readonly TensorName[],
    outputs: readonly TensorName[],
    attributes?: Readonly<Record<string, Attribute>>,
  ): void;
  /** A name that no other tensor has. */
  fresh(label: string): TensorName;
  /** A small integer tensor; equal ones are shared. */
  integers(values: readonly number[]): TensorName;
  /** A small real tensor [n]; equal names stand for equal values. */
  reals(name: string, values: () => Float32Array): TensorName;
  /** A weight in the model itself; asking twice gives the same name. */
  weight(name: TensorName, type: ElementType, shape: readonly number[], bytes: Uint8Array): TensorName;
  /** A weight in the packed file; asking twice gives the same name. */
  external(name: TensorName, tensor: ExternalTensor): TensorName;
  input(name: TensorName, type: ElementType, shape: readonly Dimension[]): void;
  output(name: TensorName, type: ElementType, shape: readonly Dimension[]): void;
  finish(): Uint8Array;
}

type Part = (w: BinaryWriter) => void;

export function modelWriter(): ModelWriter {
  const nodes: Part[] = [];
  const initializers = new Map<TensorName, Part>();
  const inputs: Part[] = [];
  const outputs: Part[] = [];
  let count = 0;

  const writer: ModelWriter = {
    node(type, from, to, attributes = {}) {
      nodes.push((w) => {
        for (const name of from) text(w, 1, name);
        for (const name of to) text(w, 2, name);
        text(w, 4, type);
        for (const [name, value] of Object.entries(attributes)) message(w, 5, (a) => attribute(a, name, value));
        if (microsoft.has(type)) text(w, 7, "com.microsoft");
      });
    },
    fresh(label) {
      return `temporary ${count++} ${label}`;
    },
    integers(values) {
      const name = `[${values}]`;
      const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      initializers.set(name, (w) => inline(w, name, "i64", [values.length], raw));
      return name;
    },
    reals(label, values) {
      const name = `constant ${label}`;
      if (!initializers.has(name)) {
        const { length, buffer, byteOffset, byteLength } = values();
        const raw = new Uint8Array(buffer, byteOffset, byteLength);
        initializers.set(name, (w) => inline(w, name, "f32", [length], raw));
      }
      return name;
    },
    weight(name, type, shape, bytes) {
      initializers.set(name, (w) => inline(w, name, type, shape, bytes));
      return name;
    },
    external(name, { type, shape, file, offset, length }) {
      initializers.set(name, (w) => {
        for (const size of shape) w.tag(1, WireType.Varint).int64(size);
        w.tag(2, WireType.Varint).int32(elementType[type]);
        text(w, 8, name);
        for (const [key, value] of Object.entries({ location: file, offset: `${offset}`, length: `${length}` })) {
          message(w, 13, (entry) => {
            text(entry, 1, key);
            text(entry, 2, value);
          });
        }
        w.tag(14, WireType.Varint).int32(1); // external
      });
      return name;
    },
    input(name, type, shape) {
      inputs.push((w) => valueInfo(w, name, type, shape));
    },
    output(name, type, shape) {
      outputs.push((w) => valueInfo(w, name, type, shape));
    },
    finish() {
      const w = new BinaryWriter();
      w.tag(1, WireType.Varint).int64(10); // version of the file format
      text(w, 2, "polyllama");
      message(w, 7, (graph) => {
        for (const part of nodes) message(graph, 1, part);
        text(graph, 2, "llama");
        for (const part of initializers.values()) message(graph, 5, part);
        for (const part of inputs) message(graph, 11, part);
        for (const part of outputs) message(graph, 12, part);
      });
      for (const [domain, version] of [
        ["", 21],
        ["com.microsoft", 1],
      ] as const) {
        message(w, 8, (opset) => {
          text(opset, 1, domain);
          opset.tag(2, WireType.Varint).int64(version);
        });
      }
      return w.finish();
    },
  };
  return writer;
}

function text(w: BinaryWriter, field: number, value: string): void {
  w.tag(field, WireType.LengthDelimited).string(value);
}

function message(w: BinaryWriter, field: number, part: Part): void {
  w.tag(field, WireType.LengthDelimited).fork();
  part(w);
  w.join();
}

function inline(w: BinaryWriter, name: string, type: ElementType, shape: readonly number[], raw: Uint8Array): void {
  for (const size of shape) w.tag(1, WireType.Varint).int64(size);
  w.tag(2, WireType.Varint).int32(elementType[type]);
  text(w, 8, name);
  w.tag(9, WireType.LengthDelimited).bytes(raw);
}

function attribute(w: BinaryWriter, name: string, value: Attribute): void {
  text(w, 1, name);
  let type: number;
  if ("float" in value) {
    w.tag(2, WireType.Bit32).float(value.float);
    type = 1;
  } else if ("int" in value) {
    w.tag(3, WireType.Varint).int64(value.int);
    type = 2;
  } else if ("text" in value) {
    text(w, 4, value.text);
    type = 3;
  } else {
    for (const item of value.ints) w.tag(8, WireType.Varint).int64(item);
    type = 7;
  }
  w.tag(20, WireType.Varint).int32(type);
}

function valueInfo(w: BinaryWriter, name: string, type: ElementType, shape: readonly Dimension[]): void {
  text(w, 1, name);
  message(w, 2, (typeProto) => {
    message(typeProto, 1, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(elementType[type]);
      message(tensor, 2, (shapeProto) => {
        for (const size of shape) {
          message(shapeProto, 1, (dimension) => {
            if (typeof size === "number") dimension.tag(1, WireType.Varint).int64(size);
            else text(dimension, 2, size);
          });
        }
      });
    });
  });
}
