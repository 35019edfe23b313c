// The ablation as a table: how many dialogues still obey at a turn, without and with Ghost Attention, beside the paper's.

import type { JudgedInstruction } from "../chat/judge.ts";
import type { Played } from "./play.ts";
import { type Interval, wilson } from "./wilson.ts";

/** Turns of the table; the first one shows that both models know the instruction. */
export const judgedTurns: readonly number[] = [1, 2, 4, 6, 10, 20];

/** Table 30 of the paper: per cent of dialogues, by turn; its model is of 70B and its instructions are others. */
const paper: ReadonlyMap<number, { readonly without: number; readonly with: number }> = new Map([
  [2, { without: 100, with: 100 }],
  [4, { without: 10, with: 100 }],
  [6, { without: 0, with: 100 }],
  [20, { without: 0, with: 100 }],
]);

export interface Share extends Interval {
  readonly obeyed: number;
  readonly dialogues: number;
}

export interface Row {
  readonly instruction: JudgedInstruction;
  readonly turn: number;
  readonly without: Share;
  readonly with: Share;
}

export function shareAt(dialogues: readonly Played[], turn: number): Share {
  const obeyed = dialogues.filter(({ turns }) => turns[turn - 1]?.obeyed === true).length;
  return { obeyed, dialogues: dialogues.length, ...wilson(obeyed, dialogues.length) };
}

/** Whether the intervals have nothing in common, the share with Ghost Attention above. */
export function isHigher({ without, with: ghost }: Row): boolean {
  return ghost.low > without.high;
}

export function tableLines(rows: readonly Row[]): readonly string[] {
  return [
    "| instruction | turn | without GAtt (95 %) | with GAtt (95 %) | beyond the intervals | paper, without | paper, with |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows.map((row) => {
      const known = paper.get(row.turn);
      const cells = [
        row.instruction,
        row.turn,
        shown(row.without),
        shown(row.with),
        isHigher(row) ? "yes" : "no",
        known === undefined ? "" : `${known.without} %`,
        known === undefined ? "" : `${known.with} %`,
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  ];
}

/** "46 of 50, 92 % (81 to 97)" */
function shown({ obeyed, dialogues, low, high }: Share): string {
  const percent = (share: number): string => (100 * share).toFixed(0);
  return `${obeyed} of ${dialogues}, ${percent(obeyed / dialogues)} % (${percent(low)} to ${percent(high)})`;
}
