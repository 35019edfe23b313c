// Answers for Ghost Attention, sampled with the instruction in every turn. They are kept in a file, a dialogue in a line,
// so that a run that goes on trains on the same ones, and sampling that was cut off does not begin anew.

import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Device } from "@polyllama/core/device";
import { ghostSampling } from "@polyllama/training";
import { type ChatMessage, Llama } from "polyllama";
import { UsageError } from "../exit.ts";
import { plural } from "../format.ts";
import type { Interrupts } from "../interrupts.ts";
import { createProgress } from "../progress.ts";
import { note } from "../terminal.ts";
import type { Base, ChatTrainingFlags } from "./chat.ts";
import type { InstructedDialogue } from "./documents.ts";

/** Options of the command. */
export interface GhostFlags extends ChatTrainingFlags {
  readonly instruction?: readonly string[];
  readonly sampled?: boolean;
  readonly temperature: number;
  readonly answerTokens: number;
}

/** The instruction of a dialogue: its own, else one of those that are given, in turn. */
export function instructionOf(
  { instruction }: InstructedDialogue,
  index: number,
  { instruction: all = [] }: GhostFlags,
): string | undefined {
  return instruction ?? all[index % all.length];
}

/** Where sampled dialogues are kept. */
function sampledPath({ out }: GhostFlags): string {
  return join(out, "sampled.jsonl");
}

/**
 * The dialogues with answers of the model, and each with its instruction.
 *
 * @throws {UsageError} for a folder that has some already, unless the run goes on.
 */
export async function sampleGhost(
  base: Base,
  dialogues: readonly InstructedDialogue[],
  device: Device,
  flags: GhostFlags,
  { signal }: Interrupts,
): Promise<readonly InstructedDialogue[]> {
  const path = sampledPath(flags);
  await mkdir(flags.out, { recursive: true });
  const before = await readFile(path, "utf8").catch(() => "");
  if (before !== "" && !flags.resume) {
    throw new UsageError(`${path} exists already; go on with --resume, or give another folder`);
  }
  const whole = before.slice(0, before.lastIndexOf("\n") + 1); // a line may have been cut off
  if (whole !== before) await writeFile(path, whole);
  const done = whole.split("\n").length - 1;
  if (done < dialogues.length) {
    await using llama = await Llama.load(base.model, { backend: device, signal });
    using progress = createProgress(flags);
    for (const [index, dialogue] of dialogues.entries()) {
      progress.update({ phase: "sampling answers", done: index, total: dialogues.length, unit: "steps" });
      if (index < done) continue;
      const instruction = instructionOf(dialogue, index, flags) ?? "";
      const messages = await answered(llama, base, dialogue.messages, instruction, index, flags, signal);
      const line: SampledLine = { instruction, messages };
      await appendFile(path, `${JSON.stringify(line)}\n`);
    }
  }
  const sampled = await readSampled(path);
  const silent = dialogues.length - sampled.length;
  if (silent > 0) note(`${plural(silent, "dialogue")} left out, in which the model answered nothing`);
  if (sampled.length === 0) throw new UsageError("the model answered nothing at all; fine-tune it first");
  return sampled;
}

/**
 * The same questions, each answered with the instruction before it and before all questions so far; null where the model
 * answered nothing.
 */
async function answered(
  llama: Llama,
  { template }: Base,
  messages: readonly ChatMessage[],
  instruction: string,
  index: number,
  { temperature, answerTokens, seed, allowMarkers = false }: GhostFlags,
  signal: AbortSignal,
): Promise<readonly ChatMessage[] | null> {
  const made: ChatMessage[] = [];
  for (const message of messages) {
    if (message.role === "assistant") continue;
    made.push(message);
    if (message.role !== "user") continue;
    const options = { template, allowMarkers, temperature, maxTokens: answerTokens, seed: seed + index, signal };
    const { text } = await llama.completeChat(ghostSampling(made, instruction), options);
    if (text.trim() === "") return null;
    made.push({ role: "assistant", content: text.trim() });
  }
  return made;
}

/** A line of the file; without messages where the model answered nothing. */
interface SampledLine {
  readonly instruction: string;
  readonly messages: readonly ChatMessage[] | null;
}

async function readSampled(path: string): Promise<readonly InstructedDialogue[]> {
  const lines = (await readFile(path, "utf8")).split("\n").slice(0, -1);
  return lines.flatMap((text, index) => {
    const { instruction, messages }: SampledLine = JSON.parse(text); // which was written above
    return messages === null ? [] : [{ instruction, messages, place: { file: path, line: index + 1 } }];
  });
}
