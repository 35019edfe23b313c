// @polyllama/training: the recipe of Llama 2. Learning rates, what the paper trained with, sequences packed from documents.

export { type CosineSchedule, checkSchedule, learningRate } from "./schedule.ts";
export { type Recipe, type RecipeLabel, type RecipeName, recipeLines, recipes } from "./recipes.ts";

// From texts to steps
export { type Example, encodeDocument } from "./example.ts";
export { type PackedSequence, type PackOptions, packExamples } from "./pack.ts";
export { type Loss, languageLoss, packedStep, totalWeight } from "./loss.ts";
