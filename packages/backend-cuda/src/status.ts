// Whether there is a card to compute on, or what is missing.

import { PolyllamaError } from "@polyllama/core";
import { Gpu } from "./gpu.ts";
import type { CudaOptions } from "./options.ts";

/** Whether there is a card to compute on, or why not. */
export type CudaStatus =
  | {
      readonly available: true;
      readonly device: string;
      readonly computeCapability: string;
      /** Version of CUDA that the driver is for. */
      readonly driver: string;
      /** Bytes. */
      readonly memory: { readonly free: number; readonly total: number };
    }
  | { readonly available: false; readonly reason: string };

/** Looks at the card and loads nothing onto it. */
export function available(options: CudaOptions = {}): CudaStatus {
  try {
    const gpu = new Gpu({ device: 0, ...options });
    try {
      const { name, driver, capability } = gpu;
      return {
        available: true,
        device: name,
        computeCapability: capabilityText(capability),
        driver: versionText(driver.version),
        memory: driver.memoryInfo(),
      };
    } finally {
      gpu.dispose();
    }
  } catch (error) {
    if (error instanceof PolyllamaError) return { available: false, reason: error.message };
    throw error;
  }
}

/** "9.0" */
export function capabilityText(capability: number): string {
  return `${Math.floor(capability / 10)}.${capability % 10}`;
}

/** "13.0" */
export function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${(version % 1000) / 10}`;
}
