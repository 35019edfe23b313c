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
