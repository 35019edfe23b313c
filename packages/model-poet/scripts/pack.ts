// Packs a trained chat model into a folder as the package embeds it.
//
//   npm run poet:pack -- MODEL FOLDER

import { packModel } from "./pack/pack.ts";

const [model, folder] = process.argv.slice(2);
if (model === undefined || folder === undefined) {
  console.error("usage: npm run poet:pack -- MODEL FOLDER");
  process.exit(2);
}
for (const [name, bytes] of await packModel(model, folder)) console.log(`${name}: ${bytes} bytes`);
