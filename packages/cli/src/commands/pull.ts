// `polyllama pull`: fetches a checkpoint from the hub into the shared cache, and prints where it lies.

import type { Command } from "commander";
import { listHub, pull } from "polyllama";
import { UsageError } from "../exit.ts";
import { bytes, table } from "../format.ts";
import { addHubOptions, type HubFlags, hubOptions } from "../hub.ts";
import type { Interrupts } from "../interrupts.ts";
import { createProgress } from "../progress.ts";
import { heading, note, print } from "../terminal.ts";

interface Options extends HubFlags {
  readonly list?: boolean;
  readonly revision?: string;
}

export function addPull(program: Command, { signal }: Interrupts): void {
  const command = program
    .command("pull")
    .summary("Fetch a checkpoint from the hub")
    .description(
      "Fetch a checkpoint from the hub into the cache that the hub's programs share, and print its path. " +
        "FILE is a path in the repository, a folder, or a GGUF type such as Q4_K_M; without one, the safetensors or the " +
        "GGUF file that fits this machine's memory is taken. Broken transfers continue; all files are verified.",
    )
    .argument("<address>", "owner/name[:file][@revision]")
    .option("--list", "show the repository's checkpoints with their sizes, and fetch nothing")
    .option("--revision <name>", "branch, tag or commit (default: main)");
  addHubOptions(command).action((address: string, options: Options) => run(address, options, signal));
}

async function run(address: string, options: Options, signal: AbortSignal): Promise<void> {
  const { revision } = options;
  if (revision !== undefined && address.includes("@")) throw new UsageError("give the revision once: @ or --revision");
  const location = revision === undefined ? address : `${address}@${revision}`;
  const hub = hubOptions(options);
  if (options.list) {
    const { repository, commit, checkpoints } = await listHub(location, { ...hub, signal });
    heading(`${repository}, commit ${commit.slice(0, 8)}`);
    const rows = checkpoints.map(({ name, kind, type, bytes: size, memory, fits, cached, missing }) => [
      `:${name}`,
      type ?? kind,
      bytes(size),
      bytes(memory),
      missing > 0 ? "incomplete" : fits ? "yes" : "no",
      cached ? "yes" : "",
    ]);
    const header = ["checkpoint", "type", "size", "memory, about", "fits here", "in the cache"];
    for (const line of table([header, ...rows], [0, 1, 4, 5])) print(`  ${line}`);
    return;
  }
  using progress = createProgress();
  try {
    const { path } = await pull(location, { ...hub, onProgress: progress.update, signal });
    progress[Symbol.dispose]();
    print(path);
  } catch (error) {
    progress[Symbol.dispose]();
    if (signal.aborted) note("Stopped. What has arrived is kept; the same command continues there.");
    throw error;
  }
}
