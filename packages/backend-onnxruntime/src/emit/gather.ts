// The selected rows of a value.

import type { GatherStep } from "@polyllama/planner";
import { type Emission, emitTensor } from "./emission.ts";

/** x [1, rows, width], selection [selected] -> [1, selected, width] */
export function emitGather(step: GatherStep, e: Emission): void {
  const { model, tensors } = e;
  emitTensor(e, step, (name) => {
    const x = tensors.at(step.x);
    const selection = tensors.input("run selection", { kind: "selection" }, () =>
      model.input("run selection", "i64", ["selected"]),
    );
    model.node("Gather", [x, selection], [name], { axis: { int: 1 } });
  });
}
