// Checkpoints of a run: folders `checkpoints/step-00000100`, each a model in Hugging Face's layout that anything reads,
// and in its folder `training` what only the run needs. A folder is written under another name, made durable, and
// renamed: one that has its name is whole. `latest` is a link to the newest, moved after that.

import { mkdir, open, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  openCheckpoint,
  openTensorFile,
  type TensorToWrite,
  writeSafetensors,
  writeTensorFile,
} from "@polyllama/checkpoints";
import { cutWeight, resolveRanges, type WeightInfo, type WeightName, type WeightSource } from "@polyllama/core";
import { isRunning, syncFolder } from "./files.ts";
import { parseState, type RunState } from "./state.ts";
import { trainedModel } from "./trained-model.ts";

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
  readonly model: Checkpoint;
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
export async function saveCheckpoint(folder: string, { model, trained, state }: ToSave, keep: number): Promise<string> {
  const all = checkpointsOf(folder);
  const path = join(all, `step-${String(state.step).padStart(8, "0")}`);
  const temporary = `${path}.${process.pid}.partial`;
  await mkdir(all, { recursive: true });
  await removeLeftovers(all);
  try {
    await mkdir(join(temporary, "training"), { recursive: true });
    await writeSafetensors(join(temporary, "model.safetensors"), trainedModel(model, trained), { threads: 1 });
    const tensors = await stateTensors(model, trained);
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

/** Moments, and weights where the device keeps more of them than the model's file holds. */
async function stateTensors({ weights }: Checkpoint, trained: WeightSource): Promise<readonly TensorToWrite[]> {
  const tensors: TensorToWrite[] = [];
  for (const { name, shape } of trained.weights.values()) {
    const isExact = (await trained.readExact?.(name)) !== undefined;
    if (isExact) tensors.push({ name, shape, dtype: "F64", read: () => exactBytes(trained, name) });
    else if (!weights.has(name)) tensors.push({ name, shape, dtype: "F32", read: () => trained.read(name) });
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
  readonly model: Checkpoint;
  /** Weights and moments, to the last bit. */
  readonly source: WeightSource;
}

/** @throws {CheckpointError} for a checkpoint of no run, or a damaged one. */
export async function openSaved(path: string): Promise<SavedRun> {
  const statePath = join(path, "training", stateFile);
  const state = parseState(await readFile(statePath, "utf8"), statePath);
  const model = await openCheckpoint(path);
  try {
    const tensors = await openTensorFile(join(path, "training", tensorFile));
    const added = [...tensors.tensors.values()].map(({ name, shape }): [WeightName, WeightInfo] => {
      return [name, { name, shape, format: "f32" }];
    });
    const exact = async (name: WeightName, signal?: AbortSignal): Promise<Float64Array | undefined> => {
      if (tensors.tensors.get(name)?.dtype !== "F64") return undefined;
      return new Float64Array((await tensors.read(name, signal)).buffer);
    };
    return {
      path,
      state,
      model,
      source: {
        name: path,
        weights: new Map([...model.weights, ...added.filter(([name]) => !model.weights.has(name))]),
        async read(name, ranges, signal) {
          if (model.weights.has(name)) return model.read(name, ranges, signal);
          const values = await exact(name, signal);
          const bytes = values === undefined ? await tensors.read(name, signal) : f32Bytes(values);
          return cutWeight(bytes, resolveRanges(added.find(([own]) => own === name)![1], ranges)); // as it is listed
        },
        readExact: exact,
        fingerprint: async () => `${await model.fingerprint()} step ${state.step}`,
      },
      async [Symbol.asyncDispose]() {
        await tensors[Symbol.asyncDispose]();
        await model[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await model[Symbol.asyncDispose]();
    throw error;
  }
}

function f32Bytes(values: Float64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(values).buffer);
}
