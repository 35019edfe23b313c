// Servers that are programs of others: started on a port of their choice, known by the address that they print, and
// ended with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts a Node program, and waits until it prints an address.
 *
 * @throws with all that it printed, when it ends before
 */
export async function startServer(nodeArguments: readonly string[], cwd: string): Promise<RunningServer> {
  const child = spawn(process.execPath, nodeArguments, {
    cwd,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
  });
  const ended = once(child, "exit");
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk;
      const [address] = /http:\/\/localhost:[1-9]\d*\/?/.exec(output) ?? [];
      if (address !== undefined) resolve(address);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    void ended.then(([code]) => reject(new Error(`${nodeArguments.join(" ")} ended with ${code}:\n${output}`)));
  });
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
