// @polyllama/training: the recipe of Llama 2. Learning rates, what the paper trained with, sequences packed from documents,
// dialogues with a loss on their answers, Ghost Attention, and the loop that updates a model's parameters.

export { type CosineSchedule, checkSchedule, learningRate } from "./schedule.ts";
export { type Recipe, type RecipeLabel, type RecipeName, recipeLines, recipes } from "./recipes.ts";

// From texts to steps
export { type Example, encodeDocument } from "./example.ts";
export { type PackedSequence, type PackOptions, packExamples } from "./pack.ts";
export { type Loss, languageLoss, packedStep, totalWeight } from "./loss.ts";

// Where a run begins, and what it reads
export { initialWeights } from "./initial-weights.ts";
export {
  type JsonValue,
  type PlacedBatch,
  type ShuffledExamples,
  type ShuffledOptions,
  shuffledExamples,
  type TrainingData,
} from "./training-data.ts";

// Dialogues
export { DataError, type DataPlace } from "./dialogues/data-error.ts";
export {
  type Dialogue,
  type DialogueFormat,
  parseDialogue,
  type ReadDialoguesOptions,
  readDialogues,
} from "./dialogues/read.ts";
export { encodeDialogue, type TrainingDialogue } from "./sft.ts";
export { ghostSampling, ghostTraining } from "./ghost-attention.ts";

// Training
export { type Batch, createTrainer, type StepResult, type Trainer, type TrainerOptions } from "./trainer.ts";
export { type TrainedStep, train } from "./train.ts";
export { type BatchGradients, batchGradients } from "./batch-gradients.ts";
export { firstNonFinite, type NonFinite, showNonFinite } from "./first-non-finite.ts";

// Data: reading, cleaning, what there is
export type { Chunks } from "./data/lines.ts";
export {
  readJsonl,
  type ReadJsonlOptions,
  readTexts,
  type ReadTextsOptions,
  streamDialogues,
  type TextDocument,
} from "./data/read-texts.ts";
export {
  type Cleaner,
  type CleaningOptions,
  type CleaningReport,
  createCleaner,
  type PersonalCount,
  type RemovalReason,
  reportLines,
} from "./data/cleaning.ts";
export type { DuplicateOptions } from "./data/duplicates.ts";
export { createOverlapFinder, type OverlapFinder } from "./data/overlap.ts";
export type { PersonalKind } from "./data/personal.ts";
export { comparable } from "./data/normalize.ts";
export { textHash } from "./data/hash.ts";
export { type CorpusStatistics, createStatistics, type Lengths, type StatisticsCollector } from "./data/statistics.ts";

// Data: tokens in a shuffled order, as sequences
export { type DocumentSource, exampleSource, type TokenDocument } from "./data/document-source.ts";
export type { Drawn, MixturePart } from "./data/mixture.ts";
export { type MixtureBatches, type MixtureBatchesOptions, mixtureBatches } from "./data/mixture-batches.ts";
export {
  createSequences,
  type Sequences,
  type SequencesOptions,
  type SequencesPosition,
} from "./data/sequences.ts";

// Adapters, and training in stages
export { copyWeights, trainedAdapter, withWeights } from "./adapters/weights.ts";
export {
  type ChineseStagesOptions,
  chineseStages,
  createStageTrainer,
  type Stage,
  type StagedModel,
  type StageOptions,
  type StageTrainer,
  stagedAdapter,
} from "./stages.ts";

// Models to compare
export { type AblationOptions, type AttentionAblation, ablation30b, attentionAblation } from "./ablation.ts";
