// @polyllama/vocabulary: vocabularies of one's own. Training one, merging one into another, the rows that a model's
// tables get for new pieces, and the tokenizer.model of what was read from elsewhere.

export type { MergedVocabulary } from "./merge.ts";
export { mergeVocabularies } from "./merge.ts";
export type { ReadNewRows } from "./new-rows.ts";
export { checkContinues, meansOfAll, meansOfSubTokens } from "./new-rows.ts";
export { paddingPiece, withoutPadding } from "./padding.ts";
export { sentencePieceFromGguf } from "./sentencepiece-from-gguf.ts";
export type { TrainedVocabulary, TrainVocabularyOptions } from "./train/train.ts";
export { trainVocabulary } from "./train/train.ts";
