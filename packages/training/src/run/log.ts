// The log of a run, a line of JSON for each event. It says each step once: a run that goes on from a checkpoint takes back
// what the log says of later steps, and a line that was cut off.

import { type FileHandle, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Recipe } from "../recipes.ts";
import { codeOf, writeWhole } from "./files.ts";

/** The run begins, or goes on. */
export interface StartEntry {
  readonly kind: "start";
  /** Steps that are behind it. */
  readonly step: number;
  readonly time: string;
  readonly backend: string;
  readonly device: string;
  readonly parameters: number;
  readonly seed: number;
  /** Steps of the whole run. */
  readonly steps: number;
  readonly recipe: Recipe;
}

/** An update. */
export interface StepEntry {
  readonly kind: "step";
  /** From 1. */
  readonly step: number;
  readonly loss: number;
  /** Learning rate. */
  readonly rate: number;
  /** Of the gradients, before clipping. */
  readonly norm: number;
  /** Rows since the run began. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly time: string;
}

/** The loss of text that is not trained on. */
export interface ValidationEntry {
  readonly kind: "validation";
  readonly step: number;
  readonly loss: number;
}

/** A text that the model wrote. */
export interface Sample {
  readonly prompt: string;
  readonly text: string;
}

/** What the model writes at a step. */
export interface SamplesEntry {
  readonly kind: "samples";
  readonly step: number;
  readonly samples: readonly Sample[];
}

/** A line of the log. */
export type LogEntry = StartEntry | StepEntry | ValidationEntry | SamplesEntry;

/** A log that is written. Disposing it closes the file. */
export interface RunLog extends AsyncDisposable {
  append(entry: LogEntry): Promise<void>;
  /** Makes all lines durable. */
  sync(): Promise<void>;
}

/** The log's file in the folder of a run. */
export function logPath(folder: string): string {
  return join(folder, "log.jsonl");
}

/** What a log says, but for a last line that was cut off. */
export async function readLog(folder: string): Promise<readonly LogEntry[]> {
  const text = await readFile(logPath(folder), "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  });
  const lines = text.split("\n").slice(0, -1);
  return lines.flatMap((line) => parsed(line));
}

function parsed(line: string): readonly LogEntry[] {
  try {
    return [JSON.parse(line) as LogEntry]; // which wrote it
  } catch {
    return []; // a page of the file that a power failure has taken
  }
}

/** Opens the log of a run that has `step` steps behind it. */
export async function openLog(folder: string, step: number): Promise<RunLog> {
  const entries = (await readLog(folder)).filter((entry) => entry.step <= step);
  await writeWhole(logPath(folder), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
  const file: FileHandle = await open(logPath(folder), "a");
  return {
    append: async (entry) => void (await file.appendFile(`${JSON.stringify(entry)}\n`)),
    sync: () => file.sync(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
