// A process that compiles a model with the cache folder given as argument, and prints what it computes.

import { loadGraph } from "@polyllama/core/device";
import { onnxruntime } from "../src/index.ts";
import { cacheModel, firstLogits } from "./cache-model.ts";

const [folder = ""] = process.argv.slice(2);
await using device = onnxruntime({ cacheFolder: folder, threads: 1 });
const { graph, source } = cacheModel();
process.stdout.write(JSON.stringify(await firstLogits(await loadGraph(device, graph, source))));
