// Makes `npm start` and `npm test` work on a fresh clone: importing this file installs the npm packages when they are
// missing or older than the lockfile, and does nothing otherwise. Install scripts are not run (.npmrc): no package here
// needs one, and onnxruntime-node's would fetch GPU libraries that are never used.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`polyllama needs Node 20.19 or later; this is ${process.version}.`);
  process.exit(1);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const modified = (file) => statSync(root + file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (modified("node_modules/.package-lock.json") < modified("package-lock.json")) {
  console.error("Installing npm packages ...");
  // Not `npm ci`: it refuses a lockfile that lacks other platforms' optional binaries, as one has that was written
  // behind a registry without them.
  const { status } = spawnSync("npm", ["install", "--no-save", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (status !== 0) process.exit(status ?? 1);
}
