// The end of all time that a check may take.

import { Worker } from "node:worker_threads";

/** Kills this process when the time is over: a call to a driver that never returns holds up everything else in it. */
export function killAfter(seconds: number, report: string): Disposable {
  const text = `gpu-check: killed, as it took more than ${seconds} s; ${report} has what was found until then\n`;
  const code =
    "const { workerData } = require('node:worker_threads'); setTimeout(() => { " +
    "require('node:fs').writeSync(2, workerData.text); process.kill(process.pid, 'SIGKILL'); }, workerData.seconds * 1000);";
  const worker = new Worker(code, { eval: true, workerData: { text, seconds }, execArgv: [] });
  worker.unref();
  return { [Symbol.dispose]: () => void worker.terminate() };
}
