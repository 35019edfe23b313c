// Checkpoints of a run: folders `checkpoints/step-00000100`, each a model in Hugging Face's layout that anything reads, or
// an adapter in PEFT's, and in its folder `training` what only the run needs. A folder is written under another name, made durable, and
// renamed: one that has its name is whole. `latest` is a link to the newest, moved after that.

import { mkdir, open, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import {
  openCheckpoint,
  openTensorFile,
  type TensorToWrite,
  writeAdapter,
  writeSafetensors,
  writeTensorFile,
} from "@polyllama/checkpoints";
import { cutWeight, resolveRanges, type WeightInfo, type WeightName, type WeightSource } from "@polyllama/core";
import { trainedAdapter } from "../adapters/weights.ts";
import { isRunning, syncFolder } from "./files.ts";
import { checkFingerprints, type Fingerprints, parseState, type RunState } from "./state.ts";
import type { Subject } from "./subject.ts";

const stateFile = "state.json";
const tensorFile = "optimizer.safetensors";

/** Where the checkpoints of a run lie. */
function checkpointsOf(folder: string): string {
  return join(folder, "checkpoints");
}

/** Whole checkpoints, the newest last. */
export async function savedCheckpoints(folder: string): Promise<readonly string[]> {
  const names = await readdir(checkpointsOf(folder)).catch(() => []);
  const steps = names.filter((name) => /^step-\d{8,}$/.test(name));
  return steps.sort((a, b) => stepOf(a) - stepOf(b)).map((name) => join(checkpointsOf(folder), name));
}

function stepOf(name: string): number {
  return Number(name.slice(name.lastIndexOf("-") + 1));
}

/** What a checkpoint is written from. */
export interface ToSave {
  readonly subject: Subject;
  /** Weights and moments, as the trainer exports them. */
  readonly trained: WeightSource;
  readonly state: RunState;
}

/**
 * Writes a checkpoint, and deletes the oldest beyond the last `keep`.
 *
 * @returns its path.
 * @throws {CheckpointError} when it cannot be written; what was there before is there still, and nothing else.
 */
export async function saveCheckpoint(
  folder: string,
  { subject, trained, state }: ToSave,
  keep: number,
): Promise<string> {
  const all = checkpointsOf(folder);
  const path = join(all, `step-${String(state.step).padStart(8, "0")}`);
  const temporary = `${path}.${process.pid}.partial`;
  await mkdir(all, { recursive: true });
  await removeLeftovers(all);
  try {
    await writeModel(temporary, subject, trained);
    await mkdir(join(temporary, "training"));
    const tensors = await stateTensors(subject, trained);
    await writeTensorFile(join(temporary, "training", tensorFile), tensors);
    await writeSynced(join(temporary, "training", stateFile), `${JSON.stringify(state, undefined, 2)}\n`);
    await syncFolder(join(temporary, "training"));
    await syncFolder(temporary);
    await rm(path, { recursive: true, force: true }); // a run that was set back comes here again
    await rename(temporary, path);
    await syncFolder(all);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  await pointTo(all, path);
  const saved = await savedCheckpoints(folder);
  for (const old of saved.slice(0, -keep)) await removeWhole(old);
  return path;
}

/** @param folder Made by it. */
async function writeModel(folder: string, subject: Subject, trained: WeightSource): Promise<void> {
  const { base, lora } = subject;
  if (lora !== undefined) {
    await writeAdapter(folder, trainedAdapter(trained, lora), base.config, { base: base.name });
    return;
  }
  await mkdir(folder);
  await writeSafetensors(join(folder, "model.safetensors"), subject.model(trained), { threads: 1 });
}

async function writeSynced(path: string, content: string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A folder that is being deleted must not be taken for a whole one. */
async function removeWhole(path: string): Promise<void> {
  const temporary = `${path}.${process.pid}.partial`;
  await rename(path, temporary);
  await rm(temporary, { recursive: true, force: true });
}

async function pointTo(all: string, path: string): Promise<void> {
  const temporary = join(all, `latest.${process.pid}.partial`);
  await rm(temporary, { force: true });
  // A folder is named by what follows the last separator, so that the run may be moved.
  await symlink(path.slice(all.length + 1), temporary, "dir").then(
    () => rename(temporary, join(all, "latest")),
    () => undefined, // a system without links for everybody; the newest is known by its number
  );
}

/** What a run that was killed has left. */
async function removeLeftovers(all: string): Promise<void> {
  for (const name of await readdir(all)) {
    const id = Number(/\.(\d+)\.partial$/.exec(name)?.[1] ?? Number.NaN);
    const isLeft = Number.isFinite(id) && (id === process.pid || !isRunning(id));
    if (isLeft) await rm(join(all, name), { recursive: true, force: true });
  }
}

/**
 * Moments, and weights where the device keeps more of them than the model's file holds; beside an adapter all that
 * trains, since a run reads no adapter's file.
 */
async function stateTensors({ base, lora }: Subject, trained: WeightSource): Promise<readonly TensorToWrite[]> {
  const own = new Set(lora?.trained);
  const tensors: TensorToWrite[] = [];
  for (const { name, shape } of trained.weights.values()) {
    if (lora !== undefined && base.weights.has(name) && !own.has(name)) continue;
    const isExact = (await trained.readExact?.(name)) !== undefined;
    if (isExact) tensors.push({ name, shape, dtype: "F64", read: () => exactBytes(trained, name) });
    else if (!base.weights.has(name) || own.has(name))
      tensors.push({ name, shape, dtype: "F32", read: () => trained.read(name) });
  }
  return tensors;
}

async function exactBytes(source: WeightSource, name: WeightName): Promise<Uint8Array> {
  const values = (await source.readExact?.(name)) ?? new Float64Array(0); // the writer compares its size
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A checkpoint to go on with. Disposing it closes its files. */
export interface SavedRun extends AsyncDisposable {
  readonly path: string;
  readonly state: RunState;
  /** Weights and moments, to the last bit. */
  readonly source: WeightSource;
}

/**
 * @param given Of the run that is to go on with it.
 * @throws {CheckpointError} for a checkpoint of no run, or a damaged one; `PolyllamaError` `ERR_OPTION` for another run's
 */
export async function openSaved(path: string, { lora, base }: Subject, given: Fingerprints): Promise<SavedRun> {
  const statePath = join(path, "training", stateFile);
  const state = parseState(await readFile(statePath, "utf8"), statePath);
  checkFingerprints(state.fingerprints, given, path);
  const opened = lora === undefined ? await openCheckpoint(path) : undefined;
  const model = opened ?? base;
  try {
    const tensors = await openTensorFile(join(path, "training", tensorFile));
    const own = new Map(
      [...tensors.tensors.values()].map(({ name, shape }): [WeightName, WeightInfo] => {
        return [name, { name, shape, format: "f32" }];
      }),
    );
    const exact = async (name: WeightName, signal?: AbortSignal): Promise<Float64Array | undefined> => {
      if (tensors.tensors.get(name)?.dtype !== "F64") return undefined;
      return new Float64Array((await tensors.read(name, signal)).buffer);
    };
    return {
      path,
      state,
      source: {
        name: path,
        weights: new Map([...model.weights, ...own]),
        async read(name, ranges, signal) {
          const info = own.get(name);
          if (info === undefined) return model.read(name, ranges, signal);
          const values = await exact(name, signal);
          const bytes = values === undefined ? await tensors.read(name, signal) : f32Bytes(values);
          return cutWeight(bytes, resolveRanges(info, ranges));
        },
        readExact: exact,
        fingerprint: async () => `${await model.fingerprint()} step ${state.step}`,
      },
      async [Symbol.asyncDispose]() {
        await tensors[Symbol.asyncDispose]();
        await opened?.[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await opened?.[Symbol.asyncDispose]();
    throw error;
  }
}

function f32Bytes(values: Float64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(values).buffer);
}
