// Where `npm run setup:system` puts what it installs, for that script, for vitest's configuration and for tests. Plain
// JavaScript, since the script needs no packages; types stand in system.d.mts.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export const systemFolder = join(homedir(), ".cache", "polyllama-system");
export const systemFile = join(systemFolder, "paths.json");

export function readSystem() {
  if (!existsSync(systemFile)) return {};
  const entries = Object.entries(JSON.parse(readFileSync(systemFile, "utf8")));
  return Object.fromEntries(entries.filter(([, value]) => existsSync(value.executable ?? value.icd ?? value.folder)));
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

const driverVariables = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"];

/** A user's own driver, by variable or in a folder where Vulkan's loader looks, comes before the software driver. */
export function vulkanFallback() {
  const { env } = process;
  const { HOME = homedir(), XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_DATA_HOME, XDG_DATA_DIRS } = env;
  const folders = [
    XDG_CONFIG_HOME || join(HOME, ".config"),
    ...(XDG_CONFIG_DIRS || "/etc/xdg").split(delimiter),
    "/etc",
    XDG_DATA_HOME || join(HOME, ".local", "share"),
    ...(XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(delimiter),
  ];
  const installed = folders.some((folder) => {
    const drivers = join(folder, "vulkan", "icd.d");
    return existsSync(drivers) && readdirSync(drivers).some((name) => name.endsWith(".json"));
  });
  return installed || driverVariables.some((name) => env[name]) ? {} : vulkanEnvironment();
}
