// The runtimes that are supported, where their programs are, and how they run the story. What is not there comes with
// `npm run setup:system -- --full`.

import { execFile } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readSystem } from "../../scripts/system.mjs";
import { installPackages } from "../support/installed.ts";

export interface Runtime {
  readonly name: string;
  /** Undefined where it is not installed. */
  readonly executable: string | undefined;
  readonly version: string | undefined;
  /** What stands before the name of a program's file. */
  readonly flags: readonly string[];
}

/** What `story.mjs` printed: tokens, by what made them, and a checksum of what threads quantized. */
export type Story = Readonly<
  Record<"cpu" | "onnxruntime" | "reference" | "safetensors" | "worker", readonly number[]> & { threads: number }
>;

const system = readSystem();

/** The Node that runs this, and the others. */
export const runtimes: readonly Runtime[] = [
  { name: "Node 20", ...ownNode(20), flags: [] },
  { name: "Node 22", ...(ownNode(22) ?? installed("node22")), flags: [] },
  { name: "Node 24", ...(ownNode(24) ?? installed("node24")), flags: [] },
  { name: "Bun", ...installed("bun"), flags: ["run"] },
  { name: "Deno", ...installed("deno"), flags: ["run", "--quiet", "--allow-all", "--node-modules-dir=manual"] },
].map((runtime) => ({ executable: undefined, version: undefined, ...runtime }));

function ownNode(major: number): Pick<Runtime, "executable" | "version"> | undefined {
  const { node } = process.versions;
  return node.startsWith(`${major}.`) ? { executable: process.execPath, version: node } : undefined;
}

function installed(key: "node22" | "node24" | "bun" | "deno"): Pick<Runtime, "executable" | "version"> {
  return { executable: system[key]?.executable, version: system[key]?.version };
}

/** Makes a project of a user's in the folder: packages as they are published, and the story with its worker. */
export function makeProject(folder: string): void {
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  const packages = [
    "polyllama",
    "@polyllama/backend-cpu",
    "@polyllama/backend-onnxruntime",
    "@polyllama/backend-reference",
    "@polyllama/model-poet",
  ];
  installPackages(folder, packages, { link: true });
  copyFileSync(fileURLToPath(new URL("story.mjs", import.meta.url)), join(folder, "story.mjs"));
  copyFileSync(fileURLToPath(new URL("worker.mjs", import.meta.url)), join(folder, "worker.mjs"));
}

/** @throws with what the program printed, when it fails */
export async function runStory({ executable, flags }: Runtime, folder: string): Promise<Story> {
  const options = { cwd: folder, timeout: 180_000 };
  const { stdout } = await promisify(execFile)(executable ?? "", [...flags, "story.mjs"], options);
  return JSON.parse(stdout);
}
