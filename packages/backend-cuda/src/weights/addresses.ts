// Where the planes of a matrix are on the card.

import type { WeightGroup } from "@polyllama/planner";
import type { Handle } from "../driver/api.ts";
import type { DeviceWeights } from "../kernels/weights.ts";
import type { DeviceMemory } from "../memory.ts";
import type { Plane, WeightLayout } from "./layout.ts";

/** Rows of a group from one on, as kernels read them; 0 stands for planes that the format does not have. */
export function deviceWeights(
  layout: WeightLayout,
  group: WeightGroup,
  { address }: DeviceMemory,
  first: number,
): DeviceWeights {
  const { format, columns, pitch, planes } = layout.matrices.get(group)!; // the layout has a matrix for each group
  const plane = (name: Plane): Handle => {
    const found = planes.find((candidate) => candidate.plane === name);
    return found === undefined ? 0n : address + BigInt(found.start);
  };
  const addresses = { "W.q": plane("q"), "W.h": plane("h"), "W.s": plane("s"), "W.d": plane("d") };
  return { format, planes: addresses, columns, pitch, first };
}
