// What the scheduler's tests work on: a small model with random weights, schedulers on it that count what they have
// computed, and what a request gives alone in a sequence of its own, which no scheduler has a part in.

import { forwardDevice, forwardDeviceProgram } from "@polyllama/conformance";
import { createSampler, type SamplingOptions } from "@polyllama/core";
import {
  type CachePool,
  cacheSpec,
  type Device,
  type DeviceFeatures,
  type Parameters,
  type Step,
} from "@polyllama/core/device";
import { tinyModel } from "@polyllama/test-support/tiny-model";
import type { Choice } from "../../src/generation/generate.ts";
import type { RequestOptions, SchedulerOptions } from "../../src/scheduler/options.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { Sequence } from "../../src/sequence.ts";
import type { SequenceModel } from "../../src/sequence-model.ts";
import { sequencePools } from "../../src/sequence-pools.ts";

export interface Asked extends RequestOptions {
  readonly prompt: readonly number[];
  readonly count: number;
  readonly sampling?: SamplingOptions;
  readonly logprobs?: number;
  readonly finals?: ReadonlySet<number>;
  readonly signal?: AbortSignal;
}

export interface Subject extends AsyncDisposable {
  readonly parameters: Parameters;
  readonly model: SequenceModel;
  /** Steps that were submitted, in order. */
  readonly steps: Step[];
  /** Called with each step before it is submitted; what it throws is thrown by `submit`. */
  before: ((step: Step) => void) | undefined;
  /** A scheduler whose pool is as large as so many sequences of so many positions. */
  scheduler(options?: SchedulerOptions, contextLength?: number): Scheduler;
  /** The pool of the last scheduler. */
  readonly pool: () => CachePool;
  alone(asked: Asked): Promise<readonly Choice[]>;
}

const vocabSize = 131;

/** How a model is loaded. */
export interface SubjectOptions {
  /** Most rows of a prompt in one step; default 32. */
  readonly chunk?: number;
  /** What the device says of itself. */
  readonly features?: DeviceFeatures;
}

export async function createSubject(device: Device, options: SubjectOptions = {}): Promise<Subject> {
  const { chunk = 32, features = device.features } = options;
  const { graph, source, config } = tinyModel({ contextLength: 256 });
  const steps: Step[] = [];
  const parameters = await device.loadParameters([graph], source);
  const compiled = await device.compile(graph, parameters);
  const program = forwardDeviceProgram(compiled, {
    submit(step, signal) {
      subject.before?.(step);
      steps.push(step);
      return compiled.submit(step, signal);
    },
  });
  const pools = sequencePools(device, cacheSpec(graph), { rows: 256, sequences: 0 });
  const model: SequenceModel = {
    device: forwardDevice(device, { features }),
    parameters,
    program,
    pools,
    end: new AbortController(),
    vocabSize: config.vocabSize,
    chunk,
  };
  const schedulers: Scheduler[] = [];
  let pool: CachePool | undefined;
  const subject: Subject = {
    parameters,
    model,
    steps,
    before: undefined,
    pool: () => pool!, // a scheduler was made
    scheduler(options = {}, contextLength = 256) {
      const make = (sequences: number): CachePool => {
        pool = pools.make(contextLength, sequences);
        return pool;
      };
      const scheduler = new Scheduler({ model, contextLength, pool: make }, options);
      void schedulers.at(-1)?.dispose(); // tests use one at a time
      schedulers.push(scheduler);
      return scheduler;
    },
    async alone({ prompt, adapter, ...asked }) {
      const own = adapter === undefined ? model : { ...model, adapter };
      using sequence = new Sequence(own, pools.open(256), 256);
      const { finals, signal, salt, priority, ...options } = choosing(asked);
      return await gathered(sequence.choose(prompt, options), options.count, finals);
    },
    async [Symbol.asyncDispose]() {
      for (const scheduler of schedulers) await scheduler.dispose();
      pools[Symbol.dispose]();
      await compiled[Symbol.asyncDispose]();
      parameters[Symbol.dispose]();
    },
  };
  return subject;
}

/** Starts a request, and gives all of its tokens. */
export async function ask(scheduler: Scheduler, { prompt, ...asked }: Asked): Promise<readonly Choice[]> {
  return gathered(scheduler.choose(prompt, choosing(asked)), asked.count);
}

/** Starts a request whose tokens are read later. */
export function start(scheduler: Scheduler, { prompt, ...asked }: Asked): AsyncIterableIterator<Choice, undefined> {
  return scheduler.choose(prompt, choosing(asked));
}

function choosing({ sampling = { temperature: 0 }, ...asked }: Omit<Asked, "prompt">) {
  return { ...asked, sampler: createSampler({ seed: 1, ...sampling }) };
}

async function gathered(
  choices: AsyncIterable<Choice>,
  count: number,
  finals?: ReadonlySet<number>,
): Promise<readonly Choice[]> {
  const all: Choice[] = [];
  for await (const choice of choices) {
    all.push(choice);
    if (all.length === count || finals?.has(choice.id)) break;
  }
  return all;
}

/** Random words, other ones for each kind. */
export function words(length: number, kind = 0): readonly number[] {
  return Array.from({ length }, (_, i) => 3 + ((i * i * 3 + i * (7 + kind * 2) + kind * kind * 5) % (vocabSize - 3)));
}

/** Turns of the event loop, until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds(); turn++) {
    if (turn === 10_000) throw new Error("it never came to hold");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
