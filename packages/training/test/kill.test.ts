// Runs that are killed, with SIGKILL and at random moments, and go on: the same losses to the last bit, and the same
// model, as of a run that was left alone. Moments are counted in what the run has told, not in seconds.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { cpu } from "@polyllama/backend-cpu";
import { reference } from "@polyllama/backend-reference";
import type { Device } from "@polyllama/core/device";
import { amount } from "@polyllama/test-support/full";
import { uniform } from "@polyllama/test-support/random";
import { afterAll, expect, test } from "vitest";
import { readLog, savedCheckpoints } from "../src/node.ts";
import { smallRun } from "./small-run.ts";

const folder = await mkdtemp(join(tmpdir(), "killed-runs-"));
afterAll(() => rm(folder, { recursive: true }));

const child = fileURLToPath(new URL("./run-child.ts", import.meta.url));

/** Starts the run, and kills it some milliseconds after so many events. @returns whether it came to its end before */
async function runAndKill(path: string, backend: string, events: number, delay: number): Promise<boolean> {
  const args = ["--conditions=@polyllama/source", "--import", import.meta.resolve("tsx"), child, path, backend];
  const running = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => running.on("close", resolve));
  let heard = 0;
  for await (const _ of createInterface(running.stdout)) {
    if (++heard !== events) continue;
    await new Promise((resolve) => setTimeout(resolve, delay));
    running.kill("SIGKILL");
  }
  return (await ended) === 0;
}

/** What a run has come to: all that its steps told, and its last checkpoint's weights, moments and state. */
async function outcome(path: string): Promise<object> {
  const last = (await savedCheckpoints(path)).at(-1)!; // of a run that came to its end
  const files = ["model.safetensors", "config.json", "training/optimizer.safetensors", "training/state.json"];
  const digests = files.map(async (name) =>
    createHash("sha256")
      .update(await readFile(join(last, name)))
      .digest("hex"),
  );
  const steps = (await readLog(path)).flatMap((entry) => {
    if (entry.kind !== "step") return [];
    const { time: _, tokensPerSecond: __, ...same } = entry;
    return [same];
  });
  return { steps, files: await Promise.all(digests) };
}

const times = amount(5, 20);
const devices: Readonly<Record<string, () => Device>> = { reference, cpu };

test.each(Object.keys(devices))(
  "killed now and then, a run on %s ends as one that was left alone",
  {
    timeout: 600_000,
  },
  async (backend) => {
    const whole = join(folder, `whole-${backend}`);
    await using device = devices[backend]!(); // its keys are these
    expect(await smallRun(whole, { device })).toMatchObject({ ended: "done", step: 20 });
    const expected = await outcome(whole);
    expect(expected).toMatchObject({ steps: { length: 20 } });
    const next = uniform(Date.now());
    let kills = 0;
    for (let run = 0; kills < times; run++) {
      const path = join(folder, `killed-${backend}-${run}`);
      // Three events or more bring a run behind a checkpoint that it did not have before.
      const moment = (): readonly [number, number] => [1 + Math.floor(9 * next()), Math.floor(8 * next())];
      while (!(await runAndKill(path, backend, ...moment()))) kills++;
      expect(await outcome(path)).toEqual(expected);
      expect(await savedCheckpoints(path)).toHaveLength(2);
    }
  },
);
