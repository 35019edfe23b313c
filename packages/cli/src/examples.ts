// Examples at the end of each command's help, in one place.

import type { Command } from "commander";

/** By the command's name: what to type, and what it does. */
const examples: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  generate: [
    ['polyllama generate "Once upon a time" -n 60 -s 7', "60 tokens that seed 7 repeats"],
    ["polyllama generate -m llama-2-7b.Q4_0.gguf -f prompt.txt -c 2048", "a model and a prompt from files"],
    ["polyllama generate -p TEXT --temperature 0 --json", "the most probable text, as an object"],
  ],
  chat: [
    ["polyllama chat -m llama-2-7b-chat.Q4_K_M.gguf", "a conversation"],
    ['polyllama chat -m hf:owner/name --system "Be brief."', "with a model of the hub"],
    ["echo 'Why is the sky blue?' | polyllama chat -m FILE --json", "one answer, as an object"],
  ],
  pull: [
    ["polyllama pull owner/name --list", "what the repository has"],
    ["polyllama pull owner/name:Q4_K_M", "fetch one of them and print its path"],
  ],
  convert: [
    ["polyllama convert ./Llama-2-7b-hf 7b.gguf --format f16", "one GGUF file out of a folder"],
    ["polyllama convert 7b.gguf ./folder --shard-size 2GB", "and back"],
    ["polyllama convert ./7b ./tuned --adapter ./lora --format bf16", "with an adapter merged into it"],
  ],
  quantize: [
    ["polyllama quantize ./Llama-2-7b-hf 7b.gguf --format q4_k_m", "a smaller file"],
    ["polyllama quantize 7b.gguf small.gguf --format q4_0 --tensors 'blk.{0-3}.*=q8_0'", "with exceptions"],
  ],
  verify: [["polyllama verify ./Llama-2-7b-hf 7b.gguf --tolerance 0.1", "how much the second differs"]],
  "tokenizer encode": [
    ["printf 'Once upon' | polyllama tokenizer encode --tokenizer tokenizer.model --pieces", "ids and pieces"],
  ],
  "tokenizer decode": [["polyllama tokenizer decode --tokenizer tokenizer.model 9038 2501", "the text of two tokens"]],
  "tokenizer train": [
    ["polyllama tokenizer train corpus.txt -o zh.model --vocab-size 20000", "a vocabulary of a corpus"],
  ],
  "tokenizer merge": [
    ["polyllama tokenizer merge tokenizer.model zh.model -o merged.model", "Llama's pieces, then the new ones"],
  ],
  "tokenizer stats": [
    ["polyllama tokenizer stats text.txt --tokenizer a.model --tokenizer b.model", "tokens of a text, side by side"],
  ],
  "extend-vocab": [
    [
      "polyllama extend-vocab ./Llama-2-7b-hf --tokenizer merged.model -o ./larger",
      "a checkpoint with rows for new pieces",
    ],
  ],
  train: [
    ["polyllama train tales.txt --config config.json --tokenizer tok.model -o run --steps 2000", "a new model"],
    ["polyllama train more.jsonl -m run/checkpoints/latest -o more --epochs 1", "a trained one, on other texts"],
  ],
  sft: [
    ["polyllama sft dialogues.jsonl -m run/checkpoints/latest -o chat", "two epochs with the paper's recipe"],
    ["polyllama sft dialogues.jsonl -m run/checkpoints/latest -o chat --resume", "after Ctrl-C, or worse"],
  ],
  gatt: [
    [
      "polyllama gatt dialogues.jsonl -m chat/checkpoints/latest -o ghost --instruction 'Rhyme.'",
      "samples, then trains",
    ],
  ],
  gradients: [
    ["polyllama gradients -m stories260K.bin --batch batch.json -o G.safetensors --json", "to compare with PyTorch"],
  ],
  inspect: [
    ["polyllama inspect llama-2-7b.Q4_0.gguf", "what a file holds, and the memory it takes"],
    ["polyllama inspect synthetic://llama-2-70b --json", "the same of a published size, as an object"],
    ["polyllama inspect llama-2-7b.Q4_0.gguf --plan webgpu", "the steps in which webgpu computes it"],
  ],
  doctor: [["polyllama doctor", "what works here"]],
  bench: [["polyllama bench -m llama-2-7b.Q4_0.gguf -t 8", "tokens per second with 8 threads"]],
  parity: [
    ["polyllama parity --backends cpu,webgpu -m FILE --report parity.html", "compare, and draw the errors by layer"],
    ["polyllama parity --json-file parity.json", "everything in a file, tables on standard output"],
  ],
  demo: [["polyllama demo", "a quatrain and a passage"]],
};

/** Adds them to every command. */
export function addExamples(program: Command): void {
  for (const { name, command } of commandsOf(program)) {
    const own = examples[name];
    if (own === undefined) continue;
    const lines = own.map(([line, about]) => `  ${line}\n      ${about}`);
    command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
  }
}

/** All commands below one, with their names as they are typed. */
export function commandsOf(
  parent: Command,
  prefix = "",
): readonly { readonly name: string; readonly command: Command }[] {
  return parent.commands.flatMap((command) => {
    const name = `${prefix}${command.name()}`;
    return [{ name, command }, ...commandsOf(command, `${name} `)];
  });
}
