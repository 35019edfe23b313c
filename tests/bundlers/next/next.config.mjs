import { fileURLToPath } from "node:url";

/** @type {import("next").NextConfig} */
export default {
  // These stay what they are in node_modules: they start threads, load native libraries, or lie beside files that they
  // read.
  serverExternalPackages: ["polyllama", "@polyllama/checkpoints", "@polyllama/backend-cpu", "@polyllama/model-poet"],
  // Only where packages lie above the application, as in a workspace: the folder that holds all of them.
  turbopack: { root: fileURLToPath(new URL("../../..", import.meta.url)) },
};
