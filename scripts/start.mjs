// `npm start` shows the embedded model; `npm start -- OPTIONS` is `polyllama generate OPTIONS`, and
// `npm run polyllama -- COMMAND` is any command; all from the sources.
import "./setup.mjs";
import { runSource } from "./run-source.mjs";

const given = process.argv.slice(2);
runSource("packages/cli/src/main.ts", given.length === 0 ? ["demo"] : ["generate", ...given]);
