// Whether an answer obeys its dialogue's instruction, told by a program: by the script of its letters, or its lines.

import type { InstructionName } from "./instructions.ts";

/** Instructions that a program can judge. */
export type JudgedInstruction = Exclude<InstructionName, "manner">;

/** Share of letters that are of the language's script in an answer that is in it. */
const leastShare = 0.9;

/** Fewest letters by which a language is told. */
const leastLetters = 2;

const judges: Readonly<Record<JudgedInstruction, (answer: string) => boolean>> = {
  chinese: (answer) => scriptShare(answer, /\p{Script=Han}/gu) >= leastShare,
  english: (answer) => scriptShare(answer, /\p{Script=Latin}/gu) >= leastShare,
  "four-lines": (answer) => linesOf(answer) === 4,
};

export const judgedInstructions: readonly JudgedInstruction[] = Object.keys(judges) as JudgedInstruction[]; // its own keys

export function isObeyed(name: JudgedInstruction, answer: string): boolean {
  return judges[name](answer);
}

/** Share of letters that are of a script; 0 where there are too few to tell. */
function scriptShare(text: string, script: RegExp): number {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  return letters < leastLetters ? 0 : (text.match(script)?.length ?? 0) / letters;
}

/** Lines with something in them. */
function linesOf(text: string): number {
  return text.split("\n").filter((line) => line.trim() !== "").length;
}
