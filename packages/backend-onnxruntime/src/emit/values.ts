// Which tensor of the model holds which value. A value may be there in all rows, in the selected ones, or in both; selected rows are
// gathered from all of them where they are first read.

import type { Graph, ValueName } from "@polyllama/core";
import type { Binding } from "../binding.ts";
import { nameFor, type Values } from "./emission.ts";
import type { ModelWriter, TensorName } from "./onnx.ts";

export function valuesOf(graph: Graph, model: ModelWriter): Values {
  const inputs: { name: TensorName; binding: Binding }[] = [];
  const declared = new Set<TensorName>();
  const whole = new Map<ValueName, () => TensorName>();
  const picked = new Map<ValueName, () => TensorName>();

  const input = (name: TensorName, binding: Binding, declare: () => void): TensorName => {
    if (!declared.has(name)) {
      declared.add(name);
      declare();
      inputs.push({ name, binding });
    }
    return name;
  };
  const selection = (): TensorName =>
    input("run selection", { kind: "selection" }, () => model.input("run selection", "i64", ["selected"]));
  const all = (value: ValueName): TensorName => {
    const known = whole.get(value);
    if (known !== undefined) return known();
    const width = graph.widths.get(value)!;
    const name = nameFor(value, "all");
    input(name, { kind: "activations", value, width }, () => model.input(name, "f32", [1, "rows", width]));
    whole.set(value, () => name);
    return name;
  };
  const selected = (value: ValueName): TensorName => {
    const known = picked.get(value);
    if (known !== undefined) return known();
    const name = nameFor(value, "selected");
    model.node("Gather", [all(value), selection()], [name], { axis: { int: 1 } });
    picked.set(value, () => name);
    return name;
  };

  return {
    inputs,
    input,
    tensor: (value, need) => (need === "all" ? all(value) : selected(value)),
    define: (value, need, tensor) => (need === "all" ? whole : picked).set(value, tensor),
    has: (value) => whole.has(value) || picked.has(value),
  };
}
