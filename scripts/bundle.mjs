// `npm run bundle`: everything that runs polyllama on a Linux x64 machine without a network, as one archive: Node
// itself, the built packages with what they need at run time, and launchers. `--check` unpacks it and tries it with
// nothing in PATH and, where the system allows that, without a network. `--no-build` takes the packages as they were
// built last.
import "./setup.mjs";
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { readArguments } from "./arguments.mjs";
import { pack } from "./bundle/archive.mjs";
import { check } from "./bundle/check.mjs";
import { limit, roots } from "./bundle/contents.mjs";
import { stagePackages } from "./bundle/packages.mjs";
import { neededGlibc, stageLaunchers, stageNode } from "./bundle/system.mjs";
import { manifest, megabytes, root, run, say } from "./bundle/tools.mjs";

const options = readArguments(
  "npm run bundle",
  "Packs everything that runs polyllama on Linux x64 without a network into one archive.",
  {
    output: { type: "string", default: "bundle", about: "folder for the archive" },
    check: { type: "boolean", default: false, about: "unpack it and try it" },
    build: { type: "boolean", default: true, about: "take the packages as they were built last" },
  },
);

if (process.platform !== "linux" || process.arch !== "x64") {
  console.error(
    "bundle: the bundle is for Linux x64, and its binaries are taken from there; run this on such a machine.",
  );
  process.exit(1);
}
if (options.build) {
  say("building the packages ...");
  const wanted = roots.map((workspace) => `--filter=${manifest(join(root, workspace)).name}...`);
  run("npx", ["turbo", "run", "build", ...wanted, "--output-logs=errors-only"], { minutes: 20 });
}
const { version } = manifest(join(root, "packages/cli"));
const name = `polyllama-${version}-linux-x64`;
const work = mkdtempSync(join(tmpdir(), "polyllama-stage-"));
try {
  const stage = join(work, name);
  stagePackages(stage);
  stageNode(stage);
  const isDawn = (path) => path.startsWith("node_modules/webgpu/");
  const glibc = `${neededGlibc(stage, (path) => !isDawn(path))} or later, for the webgpu backend ${neededGlibc(stage, isDawn)}`;
  stageLaunchers(stage, version, glibc);
  say(`Node ${process.version}; needs glibc ${glibc}`);
  const archive = await pack(work, name, resolve(root, options.output));
  const { size } = statSync(archive);
  const hash = createHash("sha256");
  await pipeline(createReadStream(archive), hash);
  const sum = hash.digest("hex");
  writeFileSync(`${archive}.sha256`, `${sum}  ${name}${archive.slice(archive.indexOf(".tar"))}\n`);
  say(`${relative(process.cwd(), archive)}: ${megabytes(size)} of ${megabytes(limit)}`);
  say(`sha256 ${sum}`);
  if (size > limit) throw new Error(`the archive exceeds ${megabytes(limit)}`);
  if (options.check) check(archive);
} finally {
  rmSync(work, { recursive: true, force: true });
}
