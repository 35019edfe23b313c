// The page's side: what `chromium.ts` calls in it.

import type { Remote } from "./environment.ts";
import { createRemote } from "./remote.ts";

declare global {
  var remote: Remote;
}

globalThis.remote = createRemote();
