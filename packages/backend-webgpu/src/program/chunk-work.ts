// What one chunk of a step is computed from.

import type { Step } from "@polyllama/core/device";
import type { PoolMemory } from "../cache/pool-memory.ts";
import type { PlacedChunk } from "./chunk.ts";
import type { OutputPart } from "./outputs.ts";
import type { PoolBinding } from "./pool-binding.ts";
import type { PreparedPlan, SamplerBinding } from "./prepared-plan.ts";
import type { ChunkDraws } from "./write-chunk.ts";

/** A chunk with all that it is bound to. */
export interface ChunkWork {
  readonly step: Step;
  readonly prepared: PreparedPlan;
  readonly chunk: PlacedChunk;
  readonly pools: ReadonlyMap<PoolMemory, PoolBinding>;
  readonly parts: readonly OutputPart[];
  readonly draws: readonly ChunkDraws[];
  readonly samplers: readonly SamplerBinding[];
}
