// The WebGPU backend: the graph as WGSL kernels, in browsers and Deno on `navigator.gpu`, in Node on Dawn. Weights keep
// their stored values; see pack.ts for how blocks are rearranged, modes.ts for what is fused, emit/ for what steps become. They
// compute in f32 whatever the format, and need no optional feature: not shader-f16, and subgroups only to be faster.

import {
  type Backend,
  type CompileOptions,
  checkNumber,
  checkOptions,
  checkWeights,
  compileOptionTypes,
  type DeviceInfo,
  type Graph,
  MemoryError,
  type MemoryEstimate,
  type OptionSchema,
  option,
  PolyllamaError,
  type Program,
  ProgramSet,
  type RoundingProfile,
  showBriefly,
  type WeightInfo,
  type WeightName,
  type WeightSource,
} from "@polyllama/core";
import { type DeviceOptions, describeAdapter, type OpenedDevice, openDevice } from "./adapter.ts";
import type { Gpu, KernelFamily, LoweredLimits } from "./gpu.ts";
import { estimateMemory } from "./memory.ts";
import { WebGpuProgram } from "./program.ts";
import { planWeights } from "./weights/layout.ts";
import { allocateWeights, uploadWeights } from "./weights/upload.ts";

/** Options of `webgpu()`. */
export interface WebGpuOptions {
  /** A device of your own, which stays yours: it is never destroyed here. It excludes the options that choose one. */
  readonly device?: GPUDevice;
  /** An adapter of your own choice. */
  readonly adapter?: GPUAdapter;
  /** Which adapter to ask for; default: what the browser or driver prefers. */
  readonly powerPreference?: GPUPowerPreference;
  /** What to use instead of `navigator.gpu`, such as Dawn's `create([])`. */
  readonly gpu?: GPU;
  /** Features to leave alone though the adapter has them; true by default. There is no f16: kernels compute in f32. */
  readonly features?: { readonly subgroups?: boolean };
  /** Buffers as large as the adapter allows, the default, or only what WebGPU guarantees everywhere. */
  readonly limits?: "default" | "adapter";
  /**
   * Bytes that everything on the device may take: weights, caches and scratch. WebGPU itself does not say how much there is;
   * with this, what does not fit is refused before anything is loaded. Default: until the device refuses.
   */
  readonly memory?: number;
  /** Kernels made for software adapters or for GPUs; default: what the adapter is. */
  readonly kernels?: KernelFamily;
  /** Limits below the device's, for tests: small models are then split as large ones are. */
  readonly loweredLimits?: LoweredLimits;
}

const optionTypes: OptionSchema<WebGpuOptions> = {
  device: option.having(["createBuffer", "destroy"], "a GPUDevice"),
  adapter: option.having(["requestDevice"], "a GPUAdapter"),
  powerPreference: option.oneOf(["low-power", "high-performance"]),
  gpu: option.having(["requestAdapter"], "a GPU, such as navigator.gpu"),
  features: option.object<NonNullable<WebGpuOptions["features"]>>({ subgroups: option.boolean }),
  limits: option.oneOf(["default", "adapter"]),
  memory: option.number({ least: 1 }),
  kernels: option.oneOf(["software", "hardware"]),
  loweredLimits: option.object<LoweredLimits>({
    maxStorageBufferBindingSize: option.integer({ least: 1024 }),
    maxBufferSize: option.integer({ least: 1024 }),
    submissionWork: option.integer({ least: 1 }),
  }),
};

/**
 * The WebGPU backend, on a device of its own unless one is given.
 *
 * @example const llama = await Llama.load(url, { backend: webgpu() });
 * @throws {PolyllamaError} `ERR_OPTION`; `ERR_BACKEND` where there is no WebGPU or no adapter, with the remedy.
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<WebGpuBackend> {
  checkOptions(options, optionTypes, "webgpu()");
  const { device } = options;
  if (device !== undefined) {
    for (const name of ["adapter", "powerPreference", "gpu", "limits"] as const) {
      if (options[name] !== undefined)
        throw new PolyllamaError("ERR_OPTION", `${name} chooses a device, but one was given; leave one of them out.`);
    }
  }
  return new WebGpuBackend(options, await openDevice(options));
}

/** What `webgpu()` gives: a backend on one device. */
export class WebGpuBackend implements Backend {
  readonly name = "webgpu";
  readonly roundings: RoundingProfile = roundings;
  readonly #options: DeviceOptions;
  readonly #programs = new ProgramSet<WebGpuProgram>();
  #opened: OpenedDevice;

  /** Made by {@link webgpu}. */
  constructor(options: DeviceOptions, opened: OpenedDevice) {
    this.#options = options;
    this.#opened = opened;
  }

  /** Buffers alive on the device and their bytes; both 0 when everything is disposed. */
  get live(): { readonly buffers: number; readonly bytes: number } {
    return { ...this.#opened.gpu.live };
  }

  describe(): DeviceInfo {
    const { gpu, info } = this.#opened;
    return {
      backend: this.name,
      device: describeAdapter(info),
      details: {
        architecture: info.architecture || "unknown",
        kernels: gpu.family,
        subgroups: gpu.features.subgroups,
        "largest binding": gpu.limits.maxStorageBufferBindingSize,
        "largest buffer": gpu.limits.maxBufferSize,
        "storage buffers a stage": gpu.limits.maxStorageBuffersPerShaderStage,
        "workgroup memory": gpu.limits.maxComputeWorkgroupStorageSize,
        "features of the device": [...gpu.device.features].sort().join(" "),
      },
    };
  }

  /** What the option `memory` leaves; WebGPU itself does not tell. */
  get availableMemory(): number | undefined {
    const { memory, live } = this.#opened.gpu;
    return memory === Number.POSITIVE_INFINITY ? undefined : memory - live.bytes;
  }

  estimateMemory(graph: Graph, weights: ReadonlyMap<WeightName, WeightInfo>, capacity: number): MemoryEstimate {
    checkNumber(capacity, "capacity", { least: 1, integer: true });
    return estimateMemory(graph, weights, capacity, this.#opened.gpu.limits);
  }

  async compile(graph: Graph, weights: WeightSource, options: CompileOptions = {}): Promise<Program> {
    checkOptions(options, compileOptionTypes, "compile()");
    return this.#programs.load(options.signal, (signal) => this.#compile(graph, weights, options, signal));
  }

  async #compile(
    graph: Graph,
    weights: WeightSource,
    { wanted = graph.outputs, onProgress }: CompileOptions,
    signal: AbortSignal,
  ): Promise<WebGpuProgram> {
    const infos = new Map(checkWeights(graph, weights).map((info) => [info.name, info]));
    const gpu = await this.#device();
    const layout = planWeights([graph], infos, gpu.limits);
    const { scratch } = estimateMemory(graph, infos, 1, gpu.limits);
    const needed = layout.bytes + scratch;
    if (gpu.live.bytes + needed > gpu.memory)
      throw new MemoryError("The model", needed, gpu.memory - gpu.live.bytes, 0);
    const allocated = await allocateWeights(gpu, layout);
    const program = new WebGpuProgram({
      gpu,
      graph,
      layout,
      weights: allocated,
      onDispose: (disposed) => this.#programs.delete(disposed),
    });
    try {
      await program.prepare(wanted);
      await uploadWeights(gpu, graph, weights, layout, allocated, onProgress, signal);
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The device; another one of the same adapter's kind where the last was lost and is ours. */
  async #device(): Promise<Gpu> {
    if (this.#opened.gpu.lost !== undefined && this.#options.device === undefined) {
      const { adapter: _, ...others } = this.#options; // an adapter gives one device only
      this.#opened = await openDevice(others);
    }
    this.#opened.gpu.assertAlive();
    return this.#opened.gpu;
  }

  /** Disposes the programs that are still alive, and the device unless it was given. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#programs.dispose(() => this.#opened.gpu.dispose());
  }
}

const roundings: RoundingProfile = {
  unit: 2 ** -24,
  flushesSubnormals: true,
  exp: 4,
  division: 5,
  inverseSqrt: 4,
  cache: "f32",
  sources: [
    "WGSL, section 15.7.4 (floating point accuracy): addition, subtraction and multiplication of f32 are correctly rounded, and may be contracted and reordered; Vulkan, Direct3D 12 and Metal round them to the nearest.",
    "WGSL, section 15.7.4: division within 2.5 ULP for divisors from 2^-126 to 2^126, inverseSqrt within 2 ULP; an ULP is up to two units.",
    "WGSL, section 15.7.3 (floating point evaluation): subnormal operands and results may become zero.",
    "kernels/math.wgsl: exp is a polynomial of degree 6 behind an exact reduction; its own error is below 0.3 units, its last operations and the reduction make it at most 4. WGSL's exp (3 + 2 |x| ULP) is not used.",
    "kernels/attention_rows.wgsl: maxima of scores in base 2 are integers, so that rescaling is exact.",
    "Cosines and sines: float64 on the host, rounded to f32 once.",
  ],
};

showBriefly(WebGpuBackend.prototype, "Backend", ({ name }) => ({ name }));
