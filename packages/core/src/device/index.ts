// The contract of devices, for backends and for what drives them.

export * from "./cache.ts";
export * from "./device.ts";
export * from "./loaded-graph.ts";
export * from "./option-types.ts";
export * from "./parameters.ts";
export * from "./program.ts";
export * from "./resolve.ts";
export * from "./roundings.ts";
