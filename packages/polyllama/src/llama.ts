// The front door: a checkpoint, a backend, and text. `Llama` owns the compiled program and, where it opened it, the
// checkpoint; everything else here is a thin layer over the graph and the generation loop of core.

import {
  type Checkpoint,
  type HubOptions,
  openCheckpoint,
  type QuantizedFormat,
  quantized,
  type TokenizerLocation,
  type WebLocation,
} from "@polyllama/checkpoints";
import {
  type Backend,
  type ChatMessage,
  type ChatTemplateName,
  checkGenerateOptions,
  checkNumber,
  checkOptions,
  configForContext,
  encodeChat,
  type GenerateOptions,
  generate,
  type LlamaConfig,
  llamaGraph,
  longestContext,
  type MemoryError,
  type Piece,
  PolyllamaError,
  type Progress,
  type Tensor,
  type Tokenizer,
  type TokenSequence,
  type Wanted,
} from "@polyllama/core";
import { checkFits } from "./memory.ts";
import { Sequence, type SequenceModel } from "./sequence.ts";

export interface LoadOptions {
  /** What computes: `cpu()` from @polyllama/backend-cpu, `reference()` from @polyllama/backend-reference. */
  readonly backend: Backend;
  /**
   * Most tokens of a sequence; default: what the configuration declares. At most that, or what its RoPE scaling reaches:
   * its factor times the original length. Dynamic NTK scaling takes the base for exactly this length.
   */
  readonly contextLength?: number;
  /** Quantize matrices while loading, where they are stored in f32, f16 or bf16. */
  readonly quantize?: QuantizedFormat;
  /** Path of the tokenizer's file, for checkpoints that come without one. This and the next three are for what is opened here. */
  readonly tokenizer?: TokenizerLocation;
  /** In a page: download what a URL names into the browser's own storage, and read it from there from then on. */
  readonly keep?: boolean;
  /** SHA-256 in hexadecimal that the file behind a URL must have; needs `keep`. */
  readonly sha256?: string;
  /** How the hub is reached; for `hf:` addresses only: token, cache folder, endpoint. */
  readonly hub?: HubOptions;
  /** Most tokens that are read in one run; default 512. */
  readonly chunk?: number;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface LlamaGenerateOptions extends GenerateOptions {
  /** Continue in this sequence instead of one that the model keeps by itself. */
  readonly sequence?: Sequence;
  /** Progress of reading the prompt, in tokens. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface ChatOptions extends LlamaGenerateOptions {
  /** The chat format that the model was trained on. Default `llama-2`. */
  readonly template?: ChatTemplateName;
  /** Accept messages that contain `[INST]` or `<<SYS>>`; default false, since they imitate the chat format. */
  readonly allowMarkers?: boolean;
}

/** A whole answer. */
export interface Completion {
  readonly text: string;
  /** Tokens that were generated, the end or stop token included. */
  readonly ids: readonly number[];
  readonly promptIds: readonly number[];
  readonly finish: Piece["finish"];
}

const ownGenerateOptions = ["sequence", "onProgress"] as const;

export class Llama implements AsyncDisposable {
  readonly config: LlamaConfig;
  readonly backend: Backend;
  /** Most tokens of a sequence. */
  readonly contextLength: number;
  /** Seconds that loading took. */
  readonly loadSeconds: number;
  readonly checkpoint: Checkpoint;
  private readonly model: SequenceModel;
  private readonly ownsCheckpoint: boolean;
  /** Kept between calls, so that a conversation's next turn only reads what is new. */
  private idle: Sequence | undefined;
  private disposed = false;

  private constructor(
    state: Pick<Llama, "config" | "backend" | "contextLength" | "loadSeconds" | "checkpoint"> & LlamaState,
  ) {
    this.config = state.config;
    this.backend = state.backend;
    this.contextLength = state.contextLength;
    this.loadSeconds = state.loadSeconds;
    this.checkpoint = state.checkpoint;
    this.model = state.model;
    this.ownsCheckpoint = state.ownsCheckpoint;
  }

  /**
   * Loads a checkpoint: a GGUF file, a safetensors or PyTorch file or folder, Meta's folder or one of its `.pth` files, a
   * llama2.c file, `synthetic://...`, one on the hub as `hf:owner/name[:file][@revision]`; in a page a URL, read by range
   * requests, a `File` or a handle; or one that was opened already, which then stays the caller's to dispose.
   *
   * @throws {CheckpointError} for a damaged or incomplete file; {@link PolyllamaError} `ERR_OPTION`, `ERR_CONFIG`,
   * `ERR_UNSUPPORTED`, `ERR_BACKEND`; {@link MemoryError} where it is known that the model does not fit with a whole context;
   * the signal's reason.
   */
  static async load(checkpoint: string | WebLocation | Checkpoint, options: LoadOptions): Promise<Llama> {
    const known = [
      "backend",
      "contextLength",
      "quantize",
      "tokenizer",
      "keep",
      "sha256",
      "hub",
      "chunk",
      "onProgress",
      "signal",
    ] as const;
    checkOptions(options, known, "Llama.load");
    const { backend, chunk = 512, quantize, tokenizer, keep, sha256, hub, onProgress, signal } = options;
    if (backend === undefined) {
      throw new PolyllamaError("ERR_OPTION", "Llama.load needs a backend, such as cpu() from @polyllama/backend-cpu.");
    }
    checkNumber(chunk, "chunk", { least: 1, integer: true });
    const started = performance.now();
    const common = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
    const isOpen = typeof checkpoint === "object" && "weights" in checkpoint;
    for (const [name, value] of Object.entries({ tokenizer, keep, sha256, hub })) {
      if (!isOpen || value === undefined) continue;
      const message = `${name} is for opening a checkpoint, and this one is open; give it to openCheckpoint.`;
      throw new PolyllamaError("ERR_OPTION", message);
    }
    const opened = isOpen
      ? checkpoint
      : await openCheckpoint(checkpoint, {
          ...common,
          ...(tokenizer !== undefined && { tokenizer }),
          ...(keep !== undefined && { keep }),
          ...(sha256 !== undefined && { sha256 }),
          ...(hub && { hub }),
        });
    const ownsCheckpoint = opened !== checkpoint;
    try {
      const contextLength = options.contextLength ?? opened.config.contextLength;
      checkNumber(contextLength, "contextLength", { least: 1, most: longestContext(opened.config), integer: true });
      const config = configForContext(opened.config, contextLength);
      const source = quantize === undefined ? opened : quantized(opened, quantize);
      const graph = llamaGraph(config);
      checkFits(backend, graph, source, contextLength);
      const program = await backend.compile(graph, source, common);
      const model: SequenceModel = { program, vocabSize: config.vocabSize, chunk };
      const loadSeconds = (performance.now() - started) / 1000;
      return new Llama({ config, backend, contextLength, loadSeconds, checkpoint: opened, model, ownsCheckpoint });
    } catch (error) {
      if (ownsCheckpoint) await opened[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @throws {PolyllamaError} `ERR_TOKENIZER` when the checkpoint came without one. */
  get tokenizer(): Tokenizer {
    const { tokenizer, name } = this.checkpoint;
    if (tokenizer !== undefined) return tokenizer;
    throw new PolyllamaError(
      "ERR_TOKENIZER",
      `${name} has no tokenizer; load it with the option \`tokenizer: "path"\`.`,
    );
  }

  /**
   * Continues a text, or tokens, as a stream. Text is encoded with BOS in front; "" starts from BOS alone.
   *
   * @throws {PolyllamaError} `ERR_OPTION`, at once; while iterating: {@link ContextOverflowError}; the signal's reason.
   */
  generate(
    prompt: string | readonly number[],
    options: LlamaGenerateOptions = {},
  ): AsyncGenerator<Piece, void, undefined> {
    this.checkUsable();
    checkGenerateOptions(options, ownGenerateOptions, this.tokenizer);
    const ids = typeof prompt === "string" ? this.tokenizer.encode(prompt, { bos: true }) : prompt;
    return this.stream(ids, options);
  }

  /**
   * Answers a conversation as a stream, in Llama 2's chat format. Roles alternate, from an optional system message on, and
   * end with the user. Turns that an earlier call already read are not read again.
   *
   * @throws {PolyllamaError} `ERR_CHAT`, `ERR_OPTION`, at once; while iterating as {@link generate}.
   */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<Piece, void, undefined> {
    this.checkUsable();
    checkGenerateOptions(options, [...ownGenerateOptions, "template", "allowMarkers"], this.tokenizer);
    const { template = "llama-2", allowMarkers = false, ...rest } = options;
    return withoutLeadingSpace(this.stream(encodeChat(this.tokenizer, messages, { template, allowMarkers }), rest));
  }

  /** Like {@link generate}, but waits for the whole text. */
  async complete(prompt: string | readonly number[], options: LlamaGenerateOptions = {}): Promise<Completion> {
    const promptIds = typeof prompt === "string" ? this.tokenizer.encode(prompt, { bos: true }) : prompt;
    let text = "";
    let finish: Piece["finish"];
    const ids: number[] = [];
    for await (const piece of this.generate(promptIds, options)) {
      text += piece.text;
      ids.push(piece.id);
      finish = piece.finish;
    }
    return { text, ids, promptIds, finish };
  }

  /**
   * Any values of the model's graph for the given tokens, such as `logits`, `norm` or `layers.0.out`; the names are those of
   * {@link llamaGraph}.
   *
   * @returns one tensor [N, width] per wanted value, in order.
   */
  async values(
    ids: readonly number[],
    wanted: readonly Wanted[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Tensor[]> {
    this.checkUsable();
    return this.model.program.run({ inputs: { tokens: Int32Array.from(ids) } }, wanted, options);
  }

  /** An empty sequence with room for `capacity` tokens; default: the context length. Dispose it when done. */
  createSequence(capacity: number = this.contextLength): Sequence {
    this.checkUsable();
    checkNumber(capacity, "capacity", { least: 1, most: this.contextLength, integer: true });
    return new Sequence(this.model, this.model.program.createCache(capacity));
  }

  /** Frees weights, caches and files; calls that still run are awaited. The backend stays usable. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.model.program[Symbol.asyncDispose]();
    if (this.ownsCheckpoint) await this.checkpoint[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  private async *stream(
    prompt: readonly number[],
    options: LlamaGenerateOptions,
  ): AsyncGenerator<Piece, void, undefined> {
    const { sequence: given, onProgress, ...rest } = options;
    const sequence = given ?? this.idle ?? this.createSequence();
    if (sequence === this.idle) this.idle = undefined;
    const reading = (signal: AbortSignal | undefined) => ({
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    });
    const tokenSequence: TokenSequence = {
      tokens: sequence.tokens,
      capacity: sequence.capacity,
      continueTo: (tokens, signal) => sequence.continueTo(tokens, reading(signal)),
      ...(sequence.samples && {
        sample: (tokens, sampling, count, signal) => sequence.sample(tokens, sampling, count, reading(signal)),
      }),
    };
    try {
      const ends = this.checkpoint.text.ends.map(({ id }) => id);
      yield* generate(tokenSequence, this.tokenizer, prompt, { ends, ...rest });
    } finally {
      if (given === undefined) {
        if (this.idle === undefined && !this.disposed) this.idle = sequence;
        else sequence[Symbol.dispose]();
      }
    }
  }

  private checkUsable(): void {
    if (this.disposed) throw new PolyllamaError("ERR_DISPOSED", "This model was disposed; load it again.");
  }
}

interface LlamaState {
  readonly model: SequenceModel;
  readonly ownsCheckpoint: boolean;
}

/** The space that the format puts before an answer is not part of it. */
async function* withoutLeadingSpace(
  pieces: AsyncGenerator<Piece, void, undefined>,
): AsyncGenerator<Piece, void, undefined> {
  let started = false;
  for await (const piece of pieces) {
    const text: string = started ? piece.text : piece.text.trimStart();
    started ||= text !== "";
    yield { ...piece, text };
  }
}
