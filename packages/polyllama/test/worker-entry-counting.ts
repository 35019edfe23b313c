// A worker that counts its backends, in memory that it shares with whoever started it: those made, then those disposed.

import { workerData } from "node:worker_threads";
import { reference } from "@polyllama/backend-reference";
import { forwardDevice } from "@polyllama/conformance";
import { serveLlama } from "../src/worker.ts";

const counts = workerData as Int32Array; // what worker-threads.test.ts gives it

serveLlama(() => {
  const device = reference();
  Atomics.add(counts, 0, 1);
  const dispose = async (): Promise<void> => {
    await device[Symbol.asyncDispose]();
    Atomics.add(counts, 1, 1);
  };
  return forwardDevice(device, { [Symbol.asyncDispose]: dispose });
});
