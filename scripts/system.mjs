// Where `npm run setup:system` puts what it installs, for that script, for vitest's configuration and for tests. Plain
// JavaScript, since the script needs no packages; types stand in system.d.mts.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export const systemFolder = join(homedir(), ".cache", "polyllama-system");
export const systemFile = join(systemFolder, "paths.json");

export function readSystem() {
  if (!existsSync(systemFile)) return {};
  const entries = Object.entries(JSON.parse(readFileSync(systemFile, "utf8")));
  return Object.fromEntries(entries.filter(([, value]) => existsSync(value.executable ?? value.icd)));
}

export function vulkanEnvironment() {
  const { vulkan } = readSystem();
  if (vulkan === undefined) return {};
  const { LD_LIBRARY_PATH: own } = process.env;
  return {
    VK_ICD_FILENAMES: vulkan.icd,
    ...(vulkan.libraryPath && { LD_LIBRARY_PATH: [vulkan.libraryPath, ...(own ? [own] : [])].join(delimiter) }),
  };
}
