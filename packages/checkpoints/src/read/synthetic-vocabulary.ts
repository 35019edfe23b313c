// The vocabulary of a synthetic checkpoint, as GGUF metadata, so that the same tokenizer reads it and a written file
// carries it: control pieces, all bytes, then every string over a small alphabet in order of length until the
// vocabulary is full. Each piece is the one before it by a letter longer, so merging can reach all of them.

const frequentLetters = "etaoinshrdlucmfwypvbgkjqxz";

/** Metadata for a vocabulary of this size; without a tokenizer when it cannot even hold the bytes. */
export function syntheticVocabulary(vocabSize: number, name: string): ReadonlyMap<string, unknown> {
  const metadata = new Map<string, unknown>([
    ["general.architecture", "llama"],
    ["general.name", name],
  ]);
  if (vocabSize < 259) return metadata;
  const tokens = ["<unk>", "<s>", "</s>"];
  const types = [2, 3, 3];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(6);
  }
  const scores = tokens.map(() => 0);
  for (const piece of pieces(vocabSize - tokens.length)) {
    scores.push(259 - tokens.length);
    types.push(1);
    tokens.push(piece);
  }
  metadata.set("tokenizer.ggml.model", "llama");
  metadata.set("tokenizer.ggml.tokens", tokens);
  metadata.set("tokenizer.ggml.scores", scores);
  metadata.set("tokenizer.ggml.token_type", types);
  metadata.set("tokenizer.ggml.unknown_token_id", 0);
  metadata.set("tokenizer.ggml.bos_token_id", 1);
  metadata.set("tokenizer.ggml.eos_token_id", 2);
  metadata.set("tokenizer.ggml.add_bos_token", true);
  metadata.set("tokenizer.ggml.add_eos_token", false);
  return metadata;
}

/** Strings over the letters, some with the mark of a word's beginning in front; the shorter ones first. */
function* pieces(count: number): Generator<string> {
  let shorter = [""];
  let left = count;
  for (let length = 1; left > 0; length++) {
    const longer: string[] = [];
    for (const start of shorter) {
      for (const letter of length === 1 ? `▁${frequentLetters}` : frequentLetters) {
        if (left-- === 0) return;
        longer.push(start + letter);
        yield start + letter;
      }
    }
    shorter = longer;
  }
}
