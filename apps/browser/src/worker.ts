// The worker chooses the backend; the page only talks to it. Its name says which: WebGPU, with the limits that the adapter
// has or those that are guaranteed everywhere, or the processor, which also serves where there is no WebGPU.

import { cpu } from "@polyllama/backend-cpu";
import { webgpu } from "@polyllama/backend-webgpu";
import { serveLlama } from "polyllama/worker";

serveLlama(async () => {
  const adapter = self.name === "cpu" ? null : await navigator.gpu?.requestAdapter();
  return adapter ? webgpu({ limits: self.name === "default" ? "default" : "adapter" }) : cpu();
});
