// The buffers of a pool, and what else whoever moves its blocks has to know.

import type { CacheFormat } from "@polyllama/core";
import type { CacheSpec } from "@polyllama/core/device";
import type { Gpu } from "../gpu.ts";
import type { HeadRange } from "./layout.ts";

/** Buffers of some heads of an attention. */
export interface PoolPart {
  readonly heads: HeadRange;
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
  /** Bytes of a block in either of them. */
  readonly blockBytes: number;
}

/** A pool, where only its blocks matter. */
export interface PoolBlocks {
  readonly gpu: Gpu;
  readonly spec: CacheSpec;
  readonly format: CacheFormat;
  /** By attention. */
  readonly parts: readonly (readonly PoolPart[])[];
}
