// `npm run conformance:webgpu`: the whole suite on the webgpu backend, in every environment one after another, each in
// a process of its own, whose driver is the software one that `npm run setup:system` installs, where it is there.
// Arguments go to `npm run conformance`.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { readArguments } from "../scripts/arguments.mjs";
import { vulkanEnvironment } from "../scripts/system.mjs";

readArguments("npm run conformance:webgpu", "The suite on WebGPU in every environment, one after another.", {
  filter: { type: "string", about: "addresses of cases to run, such as op:linear:format=q4_0" },
  keep: { type: "boolean", default: false, about: "with --filter: put the results among those recorded" },
  seed: { type: "string", about: "seed of the cases" },
});
const backends = [
  "webgpu-dawn",
  "webgpu-dawn-no-subgroups",
  "webgpu-dawn-hardware",
  "webgpu-dawn-hardware-no-subgroups",
  "webgpu-chromium",
  "webgpu-deno",
];
const program = fileURLToPath(new URL("run.ts", import.meta.url));
const env = { ...process.env, ...vulkanEnvironment() };
const failed = backends.filter((backend) => {
  const given = [...process.execArgv, program, "--backend", backend, ...process.argv.slice(2)];
  return spawnSync(process.execPath, given, { env, stdio: "inherit", timeout: 3_600_000 }).status !== 0;
});
console.log(failed.length === 0 ? "all environments as they should be" : `not as they should be: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
