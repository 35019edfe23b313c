// A process that packs a model, into the cache folder given as argument or without one, says so in the middle and stays
// there.

import { loadGraph } from "@polyllama/core/device";
import { onnxruntime } from "../src/index.ts";
import { cacheModel } from "./cache-model.ts";

const [folder = ""] = process.argv.slice(2);
const { graph, source } = cacheModel();
let reads = 0;
const device = onnxruntime({ cacheFolder: folder === "" ? false : folder, threads: 1 });
await loadGraph(device, graph, {
  ...source,
  async read(name, ranges, signal) {
    if (reads++ === 3) {
      process.stdout.write("packing");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
    return source.read(name, ranges, signal);
  },
});
