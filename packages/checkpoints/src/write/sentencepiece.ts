// SentencePiece's tokenizer.model out of the keys that GGUF has for the same vocabulary, for checkpoints that came without the
// file. Only what reading needs is written: pieces with scores and kinds, the algorithm, and how text is prepared.
// Source: github.com/google/sentencepiece, src/sentencepiece_model.proto; field numbers below are its.

/** The bytes of a tokenizer.model; `metadata` has `tokenizer.ggml.tokens`, as a tokenizer that was read from it proves. */
export function encodeSentencePiece(metadata: ReadonlyMap<string, unknown>): Uint8Array<ArrayBuffer> {
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`);
  const tokens = list(get("tokens")).map(String);
  const scores = list(get("scores")).map(Number);
  const kinds = list(get("token_type")).map(Number);
  const control = (key: string, usual: number): number => Number(get(key) ?? usual);
  const [unknown, bos, eos] = [
    control("unknown_token_id", 0),
    control("bos_token_id", 1),
    control("eos_token_id", 2),
  ] as const;
  const out: number[] = [];
  for (const [id, token] of tokens.entries()) {
    const isControl = id === bos || id === eos;
    const kind = isControl ? 3 : (kinds[id] ?? (id === unknown ? 2 : 1));
    const piece = [...text(1, token), ...float(2, scores[id] ?? 0), ...number(3, kind)];
    push(out, bytes(1, piece));
  }
  const trainer = [
    ...number(3, 2), // BPE
    ...number(4, tokens.length),
    ...number(35, kinds.includes(6) ? 1 : 0),
    ...number(40, unknown),
    ...number(41, bos),
    ...number(42, eos),
    ...number(43, -1),
    ...text(45, tokens[unknown] ?? "<unk>"),
    ...text(46, tokens[bos] ?? "<s>"),
    ...text(47, tokens[eos] ?? "</s>"),
  ];
  push(out, bytes(2, trainer));
  const charsmap = list(get("precompiled_charsmap")).map(Number);
  const normalizer = [
    ...text(1, charsmap.length > 0 ? "precompiled" : "identity"),
    ...(charsmap.length > 0 ? bytes(2, charsmap) : []),
    ...number(3, get("add_space_prefix") === false ? 0 : 1),
    ...number(4, get("remove_extra_whitespaces") === true ? 1 : 0),
    ...number(5, 1),
  ];
  push(out, bytes(3, normalizer));
  return Uint8Array.from(out);
}

function push(out: number[], more: readonly number[]): void {
  for (const byte of more) out.push(byte);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A number of either sign in groups of seven bits, the lowest first. */
function varint(value: number): number[] {
  const result: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    result.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  result.push(Number(rest));
  return result;
}

function number(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)];
}

function float(field: number, value: number): number[] {
  return [...varint((field << 3) | 5), ...new Uint8Array(Float32Array.of(value).buffer)];
}

function bytes(field: number, content: readonly number[]): number[] {
  return [...varint((field << 3) | 2), ...varint(content.length)].concat(content);
}

function text(field: number, content: string): number[] {
  return bytes(field, Array.from(new TextEncoder().encode(content)));
}
