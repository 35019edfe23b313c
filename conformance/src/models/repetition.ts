// Five runs of a small model give the same bits, alone and beside another sequence.

import type { RealArray, Tensor } from "@polyllama/core";
import { exact, wrong } from "../comparison/measure.ts";
import { equalBits } from "../comparison/tolerance.ts";
import { support } from "../support.ts";
import { drawModel, type ModelCheck, rows } from "./small.ts";

export const checkRepetition: ModelCheck = async (device, model, stream) => {
  const drawn = drawModel(model, stream);
  const { tokens } = drawn;
  const supported = await support(device, drawn);
  if (supported.status !== "supported") return supported;
  await using loaded = supported.loaded;
  const pool = loaded.pool(model.config.contextLength, { sequences: 2 });
  const alone = async (): Promise<RealArray> => {
    using cache = pool.open();
    const step = { inputs: { tokens }, sequences: [{ rows, cache }] };
    const [logits] = (await loaded.run(step, ["logits"])) as [Tensor];
    return logits.data;
  };
  const first = await alone();
  for (let repetition = 1; repetition < 5; repetition++) {
    if (!equalBits(first, await alone())) return wrong(`run ${repetition} differs from the first`);
  }
  const [own, other] = [pool.open(), pool.open()];
  const inputs = { tokens: Int32Array.from([...tokens.slice(3, 8), ...tokens]) };
  const sequences = [
    { rows: 5, cache: other },
    { rows, cache: own },
  ];
  const [together] = (await loaded.run({ inputs, sequences }, ["logits"])) as [Tensor];
  const beside = together.data.subarray(5 * together.shape[1]);
  return equalBits(first, beside) ? exact : wrong("another sequence in the step changes the bits");
};
