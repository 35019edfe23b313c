// Which tensor of the model is which buffer of the plan. Results of linears that are multiplied together stand side by
// side in one tensor, and are split where somebody reads one of them alone.

import type { Place, PlanBuffer } from "@polyllama/planner";
import type { Binding } from "../binding.ts";
import type { ModelWriter, TensorName } from "./onnx.ts";

export interface Tensors {
  /** The tensor of a place. */
  at(place: Place): TensorName;
  /** The tensor of a whole buffer, whatever is side by side in it. */
  whole(buffer: PlanBuffer): TensorName;
  /**
   * Says which tensor a buffer is: a function, as inputs are only declared when somebody reads them.
   *
   * @param widths Of what stands side by side in it.
   */
  define(buffer: PlanBuffer, tensor: () => TensorName, widths?: readonly number[]): void;
  /** An input of the model, which is declared where it is first used. */
  input(name: TensorName, binding: Binding, declare: () => void): TensorName;
  readonly inputs: readonly { readonly name: TensorName; readonly binding: Binding }[];
}

export function tensorsOf(model: ModelWriter): Tensors {
  const inputs: { name: TensorName; binding: Binding }[] = [];
  const declared = new Set<TensorName>();
  const tensors = new Map<number, () => TensorName>();
  const widthsOf = new Map<number, readonly number[]>();
  const parts = new Map<number, readonly TensorName[]>();

  const whole = ({ id }: PlanBuffer): TensorName => tensors.get(id)!(); // its step came before
  /** Names of what stands side by side in a buffer; split where that is first asked. */
  const split = (buffer: PlanBuffer, widths: readonly number[]): readonly TensorName[] => {
    const known = parts.get(buffer.id);
    if (known !== undefined) return known;
    const from = whole(buffer);
    const names = widths.map((_, i) => `${from}:${i}`);
    model.node("Split", [from, model.integers(widths)], names, { axis: { int: -1 } });
    parts.set(buffer.id, names);
    return names;
  };
  return {
    inputs,
    whole,
    at({ buffer, offset }) {
      const widths = widthsOf.get(buffer.id);
      if (widths === undefined) return whole(buffer);
      const starts = widths.map((_, i) => widths.slice(0, i).reduce((sum, width) => sum + width, 0));
      return split(buffer, widths)[starts.indexOf(offset)]!; // places are those of the linears that were multiplied
    },
    define(buffer, tensor, widths) {
      tensors.set(buffer.id, tensor);
      if (widths !== undefined) widthsOf.set(buffer.id, widths);
    },
    input(name, binding, declare) {
      if (!declared.has(name)) {
        declared.add(name);
        declare();
        inputs.push({ name, binding });
      }
      return name;
    },
  };
}
