// The page on the sources of this repository, without a build of its packages; a copy of the page has no need of this
// file.

import { mergeConfig, type UserConfig } from "vite";
import page from "./vite.config.ts";

const config: UserConfig = mergeConfig(page, {
  resolve: { conditions: ["@polyllama/source", "browser", "module", "import", "default"] },
});

export default config;
