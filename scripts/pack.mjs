// `npm run pack`: builds the packages and packs those that are published into a folder, `packed` unless another is named, from
// which npm installs them as it would from its registry.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL("..", import.meta.url));
const folder = resolve(process.argv[2] ?? `${cwd}packed`);
mkdirSync(folder, { recursive: true });
for (const command of [
  ["npx", "turbo", "run", "build", "--output-logs=errors-only"],
  ["npm", "pack", "--silent", "--workspace", "packages", "--workspace", "conformance", "--pack-destination", folder],
]) {
  const [program, ...rest] = command;
  const { status } = spawnSync(program, rest, { cwd, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}
