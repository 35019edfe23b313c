// `npm run lint`, after biome: imports between files and packages, and how long files are.

import { fileURLToPath } from "node:url";
import { importExceptions, layers, sizes } from "./config.ts";
import { checkImports } from "./imports.ts";
import { checkSizes } from "./sizes.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { graph, problems: imports } = await checkImports(root, layers, importExceptions);
const { files, median, problems: lengths } = checkSizes(root, sizes);
const problems = [...imports, ...lengths];
for (const problem of problems) console.error(problem);
console.log(`imports of ${graph.size} files, lengths of ${files} (median ${median}): ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
