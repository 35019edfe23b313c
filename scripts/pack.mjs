// `npm run pack`: builds the packages and packs those that are published into a folder, from which npm installs them as
// it would from its registry.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./arguments.mjs";

const { output } = readArguments(
  "npm run pack",
  "Builds the packages and packs those that are published, for npm to install from a folder.",
  { output: { type: "string", default: "packed", about: "folder for the packages" } },
);
const cwd = fileURLToPath(new URL("..", import.meta.url));
const folder = resolve(cwd, output);
mkdirSync(folder, { recursive: true });
const published = [...readdirSync(join(cwd, "packages")).map((name) => `packages/${name}`), "conformance"].filter(
  (workspace) => JSON.parse(readFileSync(join(cwd, workspace, "package.json"), "utf8")).private !== true,
);
const workspaces = published.flatMap((workspace) => ["--workspace", workspace]);
for (const command of [
  ["npx", "turbo", "run", "build", "--output-logs=errors-only"],
  ["npm", "pack", "--silent", ...workspaces, "--pack-destination", folder],
]) {
  const [program, ...rest] = command;
  const { status } = spawnSync(program, rest, { cwd, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}
