import { webgpu } from "@polyllama/backend-webgpu";
import { serveLlama } from "polyllama/worker";

serveLlama(() => webgpu());
