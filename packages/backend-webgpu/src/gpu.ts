// One device, with what all programs on it share: compiled pipelines, a count of live buffers, and errors that say what
// was being done. WebGPU reports most failures later and elsewhere: validation and memory errors through scopes, a lost
// device through a promise. Here each becomes a rejection of the call that met it, so that nothing computes on after a
// failed allocation and nothing waits forever for a device that is gone.

import { MemoryError, PolyllamaError } from "@polyllama/core";
import { type ShaderSpec, shaderSource } from "./shader.ts";

/** How a kernel's storage buffers from binding 2 on are used: "r" read, "w" written. */
export type Access = string;

export interface PipelineSpec extends ShaderSpec {
  readonly access: Access;
}

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/**
 * Which kernels to prefer: software adapters share loads of one address and find shared memory slow, GPUs the reverse.
 */
export type KernelFamily = "software" | "hardware";

export interface Features {
  readonly subgroups: boolean;
}

/**
 * Limits below the device's own, for tests: what exceeds a binding, a buffer or a submission is split, and under low
 * limits small models exceed them all.
 */
export interface LoweredLimits {
  /** Bytes that a kernel sees of a buffer, at most. */
  readonly maxStorageBufferBindingSize?: number;
  /** Bytes of a buffer for kernels, at most. */
  readonly maxBufferSize?: number;
  /** Multiplications in a submission, beyond which the rest of a step goes into another one. */
  readonly submissionWork?: number;
}

/** What of a device's limits is followed, and how long submissions may be. */
export type GpuLimits = Required<LoweredLimits> &
  Pick<
    GPUSupportedLimits,
    "maxComputeWorkgroupStorageSize" | "maxStorageBuffersPerShaderStage" | "minUniformBufferOffsetAlignment"
  >;

/** Multiplications in a submission, at most, if it can be cut. */
const submissionWork = { software: 1e10, hardware: 2e11 } as const;

export class Gpu {
  readonly device: GPUDevice;
  readonly limits: GpuLimits;
  readonly family: KernelFamily;
  readonly features: Features;
  /** Bytes that all buffers together may take. */
  readonly memory: number;
  /** Buffers alive and their bytes, for tests and for people. */
  readonly live: { buffers: number; bytes: number } = { buffers: 0, bytes: 0 };
  readonly #owned: boolean;
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<Access, GPUBindGroupLayout>();
  readonly #alive = new Set<GPUBuffer>();
  /** What is being made within the last guard. */
  #made: GPUBuffer[] = [];
  readonly #waiting = new Set<(error: Error) => void>();
  #lost: PolyllamaError | undefined;
  #disposed = false;

  constructor(
    device: GPUDevice,
    owned: boolean,
    family: KernelFamily,
    features: Features,
    memory: number,
    lowered: LoweredLimits,
  ) {
    this.device = device;
    const { limits } = device;
    this.limits = {
      maxStorageBufferBindingSize: least(limits.maxStorageBufferBindingSize, lowered.maxStorageBufferBindingSize),
      maxBufferSize: least(limits.maxBufferSize, lowered.maxBufferSize),
      submissionWork: least(submissionWork[family], lowered.submissionWork),
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      minUniformBufferOffsetAlignment: limits.minUniformBufferOffsetAlignment,
    };
    this.family = family;
    this.features = features;
    this.memory = memory;
    this.#owned = owned;
    void device.lost.then(({ reason, message }) => {
      this.#lost = new PolyllamaError(
        "ERR_DEVICE_LOST",
        this.#disposed
          ? "The WebGPU device was destroyed with its backend."
          : `The WebGPU device was lost (${reason || "unknown"}): ${message || "no reason given"}. ` +
              "What was computed on it is gone; load the model again.",
      );
      for (const reject of this.#waiting) reject(this.#lost);
    });
  }

  get lost(): PolyllamaError | undefined {
    return this.#lost;
  }

  /** @throws {PolyllamaError} `ERR_DEVICE_LOST` */
  assertAlive(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** The promise's result; rejects when the device is lost first, since WebGPU may leave promises open then. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    this.assertAlive();
    let stop: (error: Error) => void = () => undefined;
    const lost = new Promise<never>((_, reject) => {
      stop = reject;
      this.#waiting.add(stop);
    });
    try {
      return await Promise.race([promise, lost]);
    } catch (error) {
      // Destroying a device rejects what is pending before its own promise resolves.
      await Promise.resolve();
      throw this.#lost ?? error;
    } finally {
      this.#waiting.delete(stop);
    }
  }

  /**
   * Does something on the device and waits until its errors are known.
   *
   * @param what For the error's message: "linear q4_0 [4096, 11008], 3 rows".
   * @throws {MemoryError} with the bytes of the buffers that it makes, which are freed then; {@link PolyllamaError}
   * `ERR_BACKEND`, `ERR_DEVICE_LOST`
   */
  async guard<T>(what: string, action: () => T): Promise<T> {
    const { check, result, made } = this.#guarded(what, action);
    try {
      await check;
    } catch (error) {
      for (const buffer of made) this.free(buffer);
      throw error;
    }
    return result;
  }

  /** Like {@link guard}, but hands out the result at once, whose buffers whoever gets it frees also where the check fails. */
  guarded<T>(what: string, action: () => T): { readonly result: T; readonly check: Promise<void> } {
    return this.#guarded(what, action);
  }

  #guarded<T>(what: string, action: () => T) {
    this.assertAlive();
    const made: GPUBuffer[] = [];
    this.#made = made;
    const filters = ["validation", "internal", "out-of-memory"] as const;
    for (const filter of filters) this.device.pushErrorScope(filter);
    const before = this.live.bytes;
    const scopes = () => Promise.all(filters.map(() => this.device.popErrorScope()));
    let result: T;
    try {
      result = action();
    } catch (error) {
      scopes().catch(() => undefined); // what was thrown says more
      for (const buffer of made) this.free(buffer);
      throw error;
    }
    const wanted = this.live.bytes - before;
    const check = this.wait(scopes()).then(([memory, internal, validation]) => {
      if (memory) throw new MemoryError(what, wanted, memory.message);
      const other = validation ?? internal;
      if (other) throw new PolyllamaError("ERR_BACKEND", `${what}: ${other.message}`);
    });
    check.catch(() => undefined); // whoever awaits it gets the rejection
    return { result, check, made };
  }

  /** A buffer that counts until it is destroyed. Call within {@link guard}. */
  buffer(label: string, size: number, usage: number): GPUBuffer {
    this.assertAlive();
    const buffer = this.device.createBuffer({ label, size: Math.max(16, Math.ceil(size / 16) * 16), usage });
    this.#alive.add(buffer);
    this.#made.push(buffer);
    this.live.buffers++;
    this.live.bytes += buffer.size;
    return buffer;
  }

  /** Whether a buffer was granted and is not freed. */
  has(buffer: GPUBuffer): boolean {
    return this.#alive.has(buffer);
  }

  /** Of a buffer that was freed before, also by {@link guard}, nothing is left to free. */
  free(buffer: GPUBuffer): void {
    if (!this.#alive.delete(buffer)) return;
    this.live.buffers--;
    this.live.bytes -= buffer.size;
    buffer.destroy();
  }

  /** A compiled kernel; equal specifications share one. */
  pipeline(spec: PipelineSpec): Promise<Pipeline> {
    const key = JSON.stringify([spec.kernel, spec.access, Object.entries(spec.values).sort()]);
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const made = this.#compile(spec);
    this.#pipelines.set(key, made);
    made.catch(() => this.#pipelines.delete(key));
    return made;
  }

  async #compile(spec: PipelineSpec): Promise<Pipeline> {
    this.assertAlive();
    const { kernel, values, access } = spec;
    const label = `${kernel} ${Object.entries(values)
      .filter(([, value]) => value !== false)
      .map(([name, value]) => (value === true ? name : `${name}=${value}`))
      .join(" ")}`;
    const code = shaderSource(spec);
    const layout = this.#layout(access);
    try {
      const module = await this.guard(`kernel ${label}`, () => this.device.createShaderModule({ label, code }));
      const pipeline = await this.wait(
        this.device.createComputePipelineAsync({
          label,
          layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module, entryPoint: "main" },
        }),
      );
      return { pipeline, layout };
    } catch (cause) {
      if (cause instanceof PolyllamaError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new PolyllamaError("ERR_BACKEND", `kernel ${label} did not compile: ${reason}`, { cause });
    }
  }

  #layout(access: Access): GPUBindGroupLayout {
    const known = this.#layouts.get(access);
    if (known !== undefined) return known;
    const visibility = 4; // GPUShaderStage.COMPUTE, which is no global in Node
    const layout = this.device.createBindGroupLayout({
      label: access,
      entries: [
        { binding: 0, visibility, buffer: { type: "uniform" } },
        { binding: 1, visibility, buffer: { type: "uniform" } },
        ...Array.from(access, (mode, i): GPUBindGroupLayoutEntry => {
          return { binding: i + 2, visibility, buffer: { type: mode === "w" ? "storage" : "read-only-storage" } };
        }),
      ],
    });
    this.#layouts.set(access, layout);
    return layout;
  }

  /** Destroys the device unless it is somebody else's. */
  dispose(): void {
    this.#disposed = true;
    if (this.#owned) this.device.destroy();
  }
}

/** Numbers of GPUBufferUsage, which is no global in Node. */
export const usage = {
  mapRead: 1,
  copySource: 4,
  copyTarget: 8,
  uniform: 64,
  storage: 128,
} as const;

function least(own: number, lowered = own): number {
  return Math.min(own, lowered);
}
