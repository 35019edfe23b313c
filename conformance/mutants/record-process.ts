// Notes which functions a process calls: at most once each, since counting them would keep V8 from optimizing. Loaded
// into a process that a test starts, it leaves its notes in a folder when the process ends.

import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";

export interface Script {
  readonly url: string;
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly { readonly count: number }[];
  }[];
}

/** @returns what gives the functions called until then. */
export function startRecording(): () => readonly Script[] {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: false, detailed: false });
  return () => {
    let scripts: readonly Script[] = [];
    // Within one process the inspector answers before `post` returns.
    session.post("Profiler.takePreciseCoverage", (_, { result }) => (scripts = result));
    return scripts;
  };
}

const folder = process.env["POLYLLAMA_NOTES"];
if (folder !== undefined) {
  const take = startRecording();
  process.on("exit", () => {
    const own = take().filter(({ url }) => url.includes("/src/"));
    writeFileSync(join(folder, `${process.pid}-${performance.now()}.json`), JSON.stringify({ result: own }));
  });
}
