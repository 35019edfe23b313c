// `npm run gpu-check`, and `./gpu-check` in the offline bundle.

import { run } from "./run.ts";

process.exitCode = await run(process.argv.slice(2));
