// The reference as a device: float64 loops that say what every operation means. Slow, obvious, and exact enough to
// judge the others by.

import { checkOptions, type FormatName, type OptionSchema, option, type RoundingProfile } from "@polyllama/core";
import type { Device, DeviceFeatures } from "@polyllama/core/device";
import { formats, readValues } from "@polyllama/formats";
import { DeviceFrame, estimateHostMemory, HostBlocks, hostBlockRows } from "@polyllama/planner";
import { cacheRounding } from "./cache-rounding.ts";
import { ReferenceExecutor } from "./executor.ts";
import { loadWeights } from "./parameters.ts";
import type { Perturbation } from "./perturb.ts";

const roundings: RoundingProfile = {
  unit: 2 ** -53,
  flushesSubnormals: false,
  exp: 2,
  cache: "f64",
  sources: ["ECMAScript: Number is IEEE 754 binary64", "V8: Math.exp is fdlibm's, within 1 ulp"],
};

const features: DeviceFeatures = {
  outputs: ["host", "device", "token", "score"],
  adjustments: true,
  stepsAhead: 1,
  invariantRows: true,
  adapters: true,
  updates: true,
  pagedCaches: true,
  cacheExport: true,
};

/** Options of `reference()`. */
export interface ReferenceOptions {
  /** Move every operation's output at random within the bound of these roundings. */
  readonly perturb?: Perturbation;
}

const optionTypes: OptionSchema<ReferenceOptions> = { perturb: option.anyObject };

/**
 * The float64 reference. Runs everywhere, about a thousand times slower than others.
 *
 * @throws {PolyllamaError} `ERR_OPTION` for unknown options.
 */
export function reference(options: ReferenceOptions = {}): Device {
  checkOptions(options, optionTypes, "reference()");
  return new DeviceFrame({
    name: "reference",
    roundings,
    formats: new Set(Object.keys(formats) as FormatName[]), // its own keys
    features,
    describe: () => ({ backend: "reference", device: "float64 in JavaScript", details: {} }),
    supports: () => true,
    estimateMemory: (graph, weights, rows) => estimateHostMemory(Float64Array, graph, weights, rows),
    loadWeights,
    adapters: { readValues },
    caches: {
      formats: ["f32", "f16", "bf16", "q8_0"],
      blockRows: hostBlockRows,
      allocate: ({ spec, format, blocks }) =>
        new HostBlocks(Float64Array, spec, blocks, { format, round: cacheRounding(format) }),
    },
    executor: (graph, parameters) => new ReferenceExecutor(graph, parameters, options.perturb),
  });
}
