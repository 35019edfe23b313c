// @polyllama/planner/packed-weights: a cache on the disk of what backends make of a checkpoint's weights. For Node; the
// planner itself is bundled into pages.

export {
  type CacheSettings,
  checkRoom,
  type FillPacked,
  findEntry,
  keepWithin,
  openCached,
  storeEntry,
  writeFully,
} from "./cache.ts";
export {
  checksumBlock,
  checksumDigits,
  checksumText,
  type PackedContent,
  type PackedRange,
  packedFile,
} from "./content.ts";
export { type CheckPacked, checkSized, keyOf, type PackedWeights, removeEntry } from "./entry.ts";
export { FolderFailure, inFolder, PackedWeightsError, type PackedWeightsReason } from "./failure.ts";
export { defaultCacheFolder } from "./folder.ts";
export { createOwnedFolder, type OwnedFolder, removeLeftovers } from "./owned-folder.ts";
