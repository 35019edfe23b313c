// Commands of a step of training in the queue: compute passes, copies between them, and as many submissions as a browser's
// watchdog asks for.

import { PolyllamaError } from "@polyllama/core";
import type { Grid } from "../emit/dispatch.ts";
import { type Gpu, usage } from "../gpu.ts";
import type { BoundDispatch } from "../program/bindings.ts";
import { bindKernel, parameterBlocks } from "../program/bindings.ts";
import type { Meter } from "../program/meter.ts";
import { beginPass, type Pass, Submissions } from "../program/submit.ts";
import type { Command } from "./commands.ts";
import type { TrainingMemory } from "./memory.ts";

/** What kernels are bound with. */
export interface Submitting {
  readonly gpu: Gpu;
  readonly memory: TrainingMemory;
  readonly meter: Meter;
  /** The uniform of the step. */
  readonly step: GPUBuffer;
}

type Bound =
  | { readonly dispatch: BoundDispatch; readonly grid: Grid; readonly work: number }
  | Exclude<Command, { kind: "kernel" }>;

/** Compiles, binds and submits; resolves when it is known that the device has taken all. @throws the signal's reason */
export async function submitCommands(
  commands: readonly Command[],
  submitting: Submitting,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (commands.length === 0) return;
  const { gpu, meter } = submitting;
  const bound = await bindCommands(commands, submitting);
  const submissions = new Submissions(gpu, signal);
  let at = 0;
  while (at < bound.length) {
    await submissions.pace();
    const begins = commands[at]!; // there is one
    submissions.submit(`training from ${begins.kind === "kernel" ? begins.label : begins.kind} on`, (encoder) => {
      let pass: Pass | undefined;
      for (let done = 0; at < bound.length && done < gpu.limits.submissionWork; at++) {
        const command = bound[at]!; // likewise
        if ("dispatch" in command) {
          pass ??= beginPass(encoder, meter, "training");
          pass.dispatch(command.dispatch, command.grid);
          done += command.work;
          continue;
        }
        pass?.end();
        pass = undefined;
        const { to } = command;
        if (command.kind === "clear") encoder.clearBuffer(to.buffer, to.offset, to.bytes);
        else {
          const { buffer, offset, bytes } = command.from;
          encoder.copyBufferToBuffer(buffer, offset, to.buffer, to.offset, Math.min(bytes, to.bytes));
        }
      }
      pass?.end();
    });
  }
  await Promise.all(submissions.checks);
}

async function bindCommands(
  commands: readonly Command[],
  { gpu, memory, step }: Submitting,
): Promise<readonly Bound[]> {
  const pipelines = await Promise.all(
    commands.map((command) => (command.kind === "kernel" ? gpu.pipeline(command.spec) : undefined)),
  );
  return gpu.guard("bindings of a step of training", () => {
    const { data, offset } = parameterBlocks(
      gpu,
      commands.map((command) => (command.kind === "kernel" ? command.parameters : new ArrayBuffer(0))),
    );
    const parameters = memory.take("parameters of training", data.byteLength, usage.uniform | usage.copyTarget);
    gpu.device.queue.writeBuffer(parameters, 0, data);
    return commands.map((command, i): Bound => {
      if (command.kind !== "kernel") return command;
      const { label, resources, grid, work } = command;
      checkBindings(gpu, label, resources);
      const entries = resources.map(({ buffer, offset: from, bytes }) => ({ buffer, offset: from, size: bytes }));
      const place = { buffer: parameters, offset: offset(i) };
      return { dispatch: bindKernel(gpu, step, label, pipelines[i]!, place, entries), grid, work }; // one for each kernel
    });
  });
}

/** @throws {PolyllamaError} `ERR_BACKEND` for a value beyond what a binding may have */
function checkBindings({ limits }: Gpu, label: string, views: readonly { readonly bytes: number }[]): void {
  const most = limits.maxStorageBufferBindingSize;
  const bytes = Math.max(...views.map((view) => view.bytes));
  if (bytes <= most) return;
  const problem = `${label}: a value has ${bytes} bytes, but a binding of this device ${most} at most.`;
  throw new PolyllamaError("ERR_BACKEND", `${problem} Train in smaller micro-batches, or on another backend.`);
}
