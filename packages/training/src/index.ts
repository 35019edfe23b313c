// @polyllama/training: the recipe of Llama 2. Learning rates, and what the paper trained with.

export { type CosineSchedule, checkSchedule, learningRate } from "./schedule.ts";
export { type Recipe, type RecipeLabel, type RecipeName, recipeLines, recipes } from "./recipes.ts";
