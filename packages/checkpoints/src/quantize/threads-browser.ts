// What pool.ts finds in place of threads.ts in a browser: no threads. Everything is quantized in place; a page that has
// to stay responsive meanwhile keeps its model in a worker (polyllama/worker), and that worker is the thread.

import type { findThreads as findThreadsInNode } from "./threads.ts";

export const findThreads: typeof findThreadsInNode = () => undefined;
