// A process that keeps a model's weights in the folder given as argument, and prints what it computes; with `slowly` it
// says so while it writes them, and stays there.

import { open } from "node:fs/promises";
import { keepingDevice, logitsWith, packModel } from "./pack-model.ts";

const [folder = "", how] = process.argv.slice(2);
const slowly = async (path: string) => {
  const file = await open(path, "wx");
  return {
    close: () => file.close(),
    write: async (...given: Parameters<typeof file.write>) => {
      const written = await file.write(...given);
      process.stdout.write("writing");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      return written;
    },
  } as typeof file; // the methods that writing calls
};
const device = keepingDevice(folder, how === "slowly" ? { openFile: slowly } : {});
const { graph, source } = packModel();
process.stdout.write(JSON.stringify(await logitsWith(device, graph, source)));
