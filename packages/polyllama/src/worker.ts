// polyllama/worker: a model in a worker, so that a page stays responsive while weights are unpacked. The worker's own
// file chooses the backend and calls `serveLlama`; the page talks to it through `WorkerLlama`.

export {
  type WorkerChatOptions,
  type WorkerGenerateOptions,
  WorkerLlama,
  type WorkerLoadOptions,
  type WorkerRenderChatOptions,
} from "./worker/client.ts";
export type { AnyWorker } from "./worker/port.ts";
export type { ModelInfo } from "./worker/protocol.ts";
export { serveLlama } from "./worker/serve.ts";
