// A process that compiles a model with the cache folder given as argument, and prints what it computes.

import { onnxruntime } from "../src/index.ts";
import { cacheModel, firstLogits } from "./cache-model.ts";

const [folder = ""] = process.argv.slice(2);
await using backend = onnxruntime({ cacheFolder: folder, threads: 1 });
const { graph, source } = cacheModel();
process.stdout.write(JSON.stringify(await firstLogits(await backend.compile(graph, source))));
