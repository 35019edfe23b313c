// Puts the .wgsl files into src/kernels/generated.ts, so that browsers, Deno, Node and bundlers all find them as plain
// code. A test says when it is out of date; `npm run generate -w @polyllama/backend-webgpu` mends it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

const folder = new URL("../src/kernels/", import.meta.url);

export const generatedFile = new URL("generated.ts", folder);

export function generateKernels() {
  const names = readdirSync(folder).filter((name) => name.endsWith(".wgsl"));
  const entries = names.sort().map((name) => {
    const text = readFileSync(new URL(name, folder), "utf8").replaceAll("\r\n", "\n");
    return `  ${name.slice(0, -5)}: ${JSON.stringify(text)},\n`;
  });
  return (
    "// The .wgsl files of this folder as text, made by scripts/generate-kernels.mjs: edit those instead.\n\n" +
    `// biome-ignore format: generated\nexport const kernelSources = {\n${entries.join("")}} as const;\n`
  );
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(generatedFile, generateKernels());
