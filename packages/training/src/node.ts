// @polyllama/training/node: what reads and writes files.

export { fileChunks } from "./data/file-chunks.ts";
export { openTokenFile, type TokenFile } from "./data/token-file.ts";
export type { TokenHeader } from "./data/token-format.ts";
export { writeTokenFile } from "./data/token-writer.ts";
