// `npm run build:kernels`: compiles the kernels of every backend that has compiled ones. `-- cuda` or `-- cpu` names one
// of them, and takes that one's arguments behind it.
import { runSource } from "./run-source.mjs";

const backends = ["cuda", "cpu"];
const [first, ...rest] = process.argv.slice(2);
const named = first !== undefined && !first.startsWith("-");
if (named && !backends.includes(first)) {
  console.error(`There are no kernels to build for ${first}: ${backends.join(" or ")}.`);
  process.exit(2);
}
for (const backend of named ? [first] : backends) {
  runSource(`packages/backend-${backend}/scripts/build-kernels.ts`, named ? rest : process.argv.slice(2));
}
