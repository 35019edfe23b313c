// The process that asks WebGPU: it is told one task, and answers it.

import { webgpu } from "@polyllama/backend-webgpu";
import { adapterFits } from "../device-fits.ts";
import { memoryRows } from "../memory.ts";
import { tryBackend } from "../try-backend.ts";
import type { Answers, Reply, Task, TaskName } from "./tasks.ts";

async function carryOut({ name, subject }: Task): Promise<Answers[TaskName]> {
  if (name === "try") return tryBackend({ backend: "webgpu", json: true }, new AbortController().signal);
  if (name === "fits") return adapterFits();
  if (subject === undefined) throw new Error("there is no model to estimate");
  await using device = await webgpu();
  return memoryRows(device, "webgpu", subject.config, new Map(subject.weights));
}

process.once("message", async (task: Task) => {
  const reply = await carryOut(task).then(
    (answer): Reply => ({ answer }),
    (error: unknown): Reply => ({ reason: error instanceof Error ? error.message : String(error) }),
  );
  process.send?.(reply, () => process.exit());
});
