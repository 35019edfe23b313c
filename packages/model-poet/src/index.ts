// @polyllama/model-poet: a small trained model as files in this package, for trying things out without a download.

/** Where the checkpoint lies: a folder with config.json, model.safetensors and tokenizer.model. */
export const poetUrl: URL = new URL(/* @vite-ignore */ "../files/", import.meta.url);

/** Path of that folder, for `Llama.load` in Node. */
export const poet: string = decodeURIComponent(poetUrl.pathname).replace(/^\/([A-Za-z]:\/)/, "$1");
