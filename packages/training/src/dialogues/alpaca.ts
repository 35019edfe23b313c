// Alpaca's format: `{"instruction": "...", "input": "...", "output": "..."}`, with earlier turns in `history` and a `system` in
// some data. An input follows its instruction on a line of its own, as Chinese-Alpaca was trained.
// Source: github.com/tatsu-lab/stanford_alpaca; github.com/ymcui/Chinese-LLaMA-Alpaca-2, scripts/training/build_dataset.py;
// github.com/hiyouga/LLaMA-Factory, data/README.md (history, system).

import { type Field, fail, items, member, optionalText, text } from "./fields.ts";
import type { Role, Turn } from "./turn.ts";

/** @throws {DataError} */
export function alpacaTurns(line: Field): readonly Turn[] {
  const turn = (role: Role, content: string, origin: Field): Turn => ({ message: { role, content }, origin });
  const [system, history] = [member(line, "system"), member(line, "history")];
  const [instruction, output] = [member(line, "instruction"), member(line, "output")];
  const [first, input] = [optionalText(system), optionalText(member(line, "input"))];
  const task = text(instruction);
  return [
    ...(first === undefined ? [] : [turn("system", first, system)]),
    ...(history.value === undefined || history.value === null ? [] : items(history)).flatMap((pair) => {
      const [question, answer, ...more] = items(pair);
      if (question === undefined || answer === undefined || more.length > 0) fail(pair, "is not a pair of texts");
      return [turn("user", text(question), question), turn("assistant", text(answer), answer)];
    }),
    turn("user", input === undefined ? task : `${task}\n${input}`, instruction),
    turn("assistant", text(output), output),
  ];
}
