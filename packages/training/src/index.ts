// @polyllama/training: the recipe of Llama 2. Learning rates, what the paper trained with, sequences packed from documents,
// dialogues with a loss on their answers, Ghost Attention, and the loop that updates a model's parameters.

export { type CosineSchedule, checkSchedule, learningRate } from "./schedule.ts";
export { type Recipe, type RecipeLabel, type RecipeName, recipeLines, recipes } from "./recipes.ts";

// From texts to steps
export { type Example, encodeDocument } from "./example.ts";
export { type PackedSequence, type PackOptions, packExamples } from "./pack.ts";
export { type Loss, languageLoss, packedStep, totalWeight } from "./loss.ts";

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

// Data: what is left out, and what is there
export {
  createDuplicateFinder,
  type Duplicate,
  type DuplicateFinder,
  type DuplicateOptions,
} from "./data/duplicates.ts";
export { createOverlapFinder, type OverlapFinder } from "./data/overlap.ts";
export { findPersonalData, maskPersonalData, type PersonalData, type PersonalKind } from "./data/personal.ts";
export { comparable } from "./data/normalize.ts";
export { textHash } from "./data/hash.ts";
export { vocabularyFingerprint } from "./data/vocabulary-fingerprint.ts";
export type { TokenSource } from "./data/token-source.ts";
