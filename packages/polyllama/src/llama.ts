// The front door: a checkpoint, a backend, and text. `Llama` owns the compiled program and, where it opened it, the
// checkpoint; everything else here is a thin layer over the graph and the generation loop.

import type { Checkpoint } from "@polyllama/checkpoints";
import {
  checkNumber,
  checkOptions,
  encodePrompt,
  type LlamaConfig,
  MemoryError,
  type OptionType,
  PolyllamaError,
  showBriefly,
  type Tensor,
  type Tokenizer,
} from "@polyllama/core";
import { type Device, hostOutput, type Wanted } from "@polyllama/core/device";
import { checkIds, checkMessages, checkPrompt, checkWanted } from "./arguments.ts";
import { type ChatFormat, chatFormatOf } from "./chat/format.ts";
import type { ChatTemplate } from "./chat/named.ts";
import {
  type ChatMessage,
  type ChatPrompt,
  type PreparedPrompt,
  prepareChat,
  type RenderChatOptions,
} from "./chat/prompt.ts";
import { type Completion, gather } from "./completion.ts";
import { checkGenerateOptions, type Piece } from "./generation/generate.ts";
import { type Loaded, type LoadSource, load } from "./load.ts";
import {
  type ChatOptions,
  chatOptionTypes,
  type LlamaGenerateOptions,
  type LoadOptions,
  llamaGenerateOptionTypes,
  renderChatOptionTypes,
  type ValuesOptions,
  valuesOptionTypes,
} from "./options.ts";
import type { SchedulerOptions } from "./scheduler/options.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { Sequence } from "./sequence.ts";
import { modelDisposed, type SequenceModel } from "./sequence-model.ts";
import { streamPieces, withoutFormatSpace } from "./stream.ts";

/** A model that was loaded: a checkpoint, compiled by a backend. Dispose it when done. */
export class Llama implements AsyncDisposable {
  readonly config: LlamaConfig;
  /** What computes: the device that the backend's function made. */
  readonly backend: Device;
  /** Most tokens of a sequence. */
  readonly contextLength: number;
  /** Seconds that loading took. */
  readonly loadSeconds: number;
  readonly checkpoint: Checkpoint;
  readonly #model: SequenceModel;
  readonly #ownsCheckpoint: boolean;
  /** Of whoever is alone. Kept between calls, so that a conversation's next turn only reads what is new. */
  #own: Sequence | undefined;
  #ownInUse = false;
  /** Of those who come while somebody is there. */
  #scheduler: Scheduler | undefined;
  #disposing: Promise<void> | undefined;

  private constructor(loaded: Loaded) {
    this.config = loaded.config;
    this.backend = loaded.device;
    this.contextLength = loaded.contextLength;
    this.loadSeconds = loaded.loadSeconds;
    this.checkpoint = loaded.checkpoint;
    this.#model = loaded.model;
    this.#ownsCheckpoint = loaded.ownsCheckpoint;
  }

  /**
   * Loads a checkpoint: a GGUF file, a safetensors or PyTorch file or folder, Meta's folder or one of its `.pth` files,
   * a llama2.c file, `synthetic://...`, one on the hub as `hf:owner/name[:file][@revision]`; a URL (`file:` too, in a
   * page read by range requests), a `File`, `Blob` or handle, the bytes of a file; or one that was opened already,
   * which then stays the caller's to dispose.
   *
   * @throws {CheckpointError} for a damaged or incomplete file; `OptionError`; {@link PolyllamaError} `ERR_CONFIG`,
   * `ERR_UNSUPPORTED`, `ERR_BACKEND`; `MemoryError` where it is known that the model does not fit with a whole context;
   * the signal's reason.
   */
  static async load(checkpoint: LoadSource, options: LoadOptions): Promise<Llama> {
    return new Llama(await load(checkpoint, options));
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
   * Continues a text, or tokens, as a stream. Text is encoded as the checkpoint says (`checkpoint.text`), for Llama 2
   * with BOS in front; "" starts from BOS alone.
   *
   * @throws {OptionError} at once; while iterating: `ContextOverflowError`; the signal's reason.
   */
  generate(
    prompt: string | readonly number[],
    options: LlamaGenerateOptions = {},
  ): AsyncGenerator<Piece, void, undefined> {
    return this.#stream(this.#encode(prompt, options, "generate()"), options);
  }

  /**
   * Like {@link generate}, but waits for the whole text.
   *
   * @throws {AbortError} when the signal aborts after the first token, with what was generated until then as `partial`.
   */
  async complete(prompt: string | readonly number[], options: LlamaGenerateOptions = {}): Promise<Completion> {
    const ids = this.#encode(prompt, options, "complete()");
    return gather(this.#stream(ids, options), ids, options.signal);
  }

  /**
   * Answers a conversation as a stream, in the checkpoint's own chat format unless `template` names another. In Llama
   * 2's, roles alternate, from an optional system message on, and end with the user; what others take their templates
   * say. Turns that an earlier call already read are not read again.
   *
   * @throws {OptionError}, and {@link PolyllamaError} `ERR_CHAT` where no template has to be rendered to know, at once;
   * while iterating `ERR_CHAT`, and as {@link generate}.
   */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<Piece, void, undefined> {
    return this.#answer(this.#prepare(messages, options, "chat()"), options);
  }

  /** Like {@link chat}, but waits for the whole answer. @throws {AbortError} as {@link complete} does. */
  async completeChat(messages: readonly ChatMessage[], options: ChatOptions = {}): Promise<Completion> {
    const prompt = await ready(this.#prepare(messages, options, "completeChat()"));
    return gather(this.#answer(prompt, options), prompt.ids, options.signal);
  }

  /**
   * A conversation as the model would read it, in the format that {@link chat} uses.
   *
   * @throws {OptionError}; {@link PolyllamaError} `ERR_CHAT`; the signal's reason.
   */
  async renderChat(messages: readonly ChatMessage[], options: RenderChatOptions = {}): Promise<ChatPrompt> {
    checkOptions(options, renderChatOptionTypes, "renderChat()");
    this.#checkUsable();
    checkMessages(messages, "renderChat()");
    options.signal?.throwIfAborted();
    return ready(prepareChat(this.checkpoint, this.tokenizer, messages, options));
  }

  /**
   * The format that {@link chat} uses, and who says so, with a notice for people where it is a guess.
   *
   * @throws {PolyllamaError} `ERR_CHAT` where no template is given and the checkpoint has none.
   */
  chatFormat(template?: ChatTemplate): ChatFormat {
    return chatFormatOf(this.checkpoint, template);
  }

  /**
   * Any values of the model's graph for the given tokens, such as `logits`, `norm` or `layers.0.out`; the names are
   * those of {@link llamaGraph}.
   *
   * @returns one tensor [N, width] per wanted value, in order.
   * @throws {OptionError} for a name that there is not, with those that there are.
   */
  async values(
    ids: readonly number[],
    wanted: readonly Wanted[],
    options: ValuesOptions = {},
  ): Promise<readonly Tensor[]> {
    checkOptions(options, valuesOptionTypes, "values()");
    this.#checkUsable();
    const { program, vocabSize, adapter } = this.#model;
    checkIds(ids, vocabSize, "ids", "values()");
    checkWanted(wanted, program.graph, "values()");
    const outputs = wanted.map(hostOutput);
    const sequences = [{ rows: ids.length, ...(adapter !== undefined && { adapter }) }];
    const step = { inputs: { tokens: Int32Array.from(ids) }, sequences, outputs };
    const values = await program.submit(step, options.signal).result;
    return values.flatMap((value) => (value.to === "host" ? [value.tensor] : []));
  }

  /** An empty sequence with room for `capacity` tokens; default: the context length. Dispose it when done. */
  createSequence(capacity: number = this.contextLength): Sequence {
    this.#checkUsable();
    checkNumber(capacity, "capacity", { least: 1, most: this.contextLength, integer: true });
    return new Sequence(this.#model, this.#model.pools.open(capacity), capacity);
  }

  /**
   * Runs many requests together, on KV blocks of their own. Dispose it when done.
   *
   * @throws {OptionError}; `MemoryError`; {@link PolyllamaError} `ERR_DISPOSED`
   */
  createScheduler(options: SchedulerOptions = {}): Scheduler {
    this.#checkUsable();
    const { contextLength, checkpoint } = this;
    const parts = {
      model: this.#model,
      contextLength,
      pool: (sequences: number) => this.#model.pools.make(contextLength, sequences),
      tokenizer: checkpoint.tokenizer,
      ends: this.#ends(),
    };
    return new Scheduler(parts, options);
  }

  /** Frees weights, caches and files; calls that still run end with `ERR_DISPOSED`. The backend stays usable. */
  dispose(): Promise<void> {
    this.#disposing ??= this.#free();
    return this.#disposing;
  }

  /** As {@link Llama.dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #free(): Promise<void> {
    this.#model.end.abort(modelDisposed());
    try {
      const { program, pools, parameters } = this.#model;
      await this.#scheduler?.dispose();
      await program[Symbol.asyncDispose]();
      pools[Symbol.dispose]();
      parameters[Symbol.dispose]();
    } finally {
      if (this.#ownsCheckpoint) await this.checkpoint[Symbol.asyncDispose]();
    }
  }

  /** Checks a prompt and its options, and encodes it. */
  #encode(prompt: string | readonly number[], options: LlamaGenerateOptions, where: string): readonly number[] {
    this.#check(options, llamaGenerateOptionTypes, where);
    checkPrompt(prompt, this.#model.vocabSize, where);
    return typeof prompt === "string" ? encodePrompt(this.tokenizer, prompt) : prompt;
  }

  #prepare(messages: readonly ChatMessage[], options: ChatOptions, where: string): PreparedPrompt {
    this.#check(options, chatOptionTypes, where);
    checkMessages(messages, where);
    return prepareChat(this.checkpoint, this.tokenizer, messages, options);
  }

  #check(options: LlamaGenerateOptions, types: Readonly<Record<string, OptionType>>, where: string): void {
    this.#checkUsable();
    checkGenerateOptions(options, types, where, this.checkpoint.tokenizer);
    options.sequence?.checkUsableBy(this.#model, where);
  }

  async *#answer(prompt: PreparedPrompt, options: ChatOptions): AsyncGenerator<Piece, void, undefined> {
    const { template, allowMarkers, tools, documents, ...rest } = options;
    const { ids } = await ready(prompt);
    yield* withoutFormatSpace(this.#stream(ids, rest));
  }

  async *#stream(prompt: readonly number[], given: LlamaGenerateOptions): AsyncGenerator<Piece, void, undefined> {
    const ends = this.#ends();
    const { sequence, ...options } = { ends, ...given };
    if (sequence !== undefined) {
      yield* streamPieces(sequence, this.tokenizer, prompt, options);
    } else if (this.#ownInUse || this.#scheduler?.idle === false) {
      yield* this.#together().generate(prompt, options);
    } else {
      this.#ownInUse = true;
      try {
        this.#own ??= this.createSequence();
        yield* streamPieces(this.#own, this.tokenizer, prompt, options);
      } finally {
        this.#ownInUse = false;
      }
    }
  }

  #ends(): readonly number[] {
    return this.checkpoint.text.ends.map(({ id }) => id);
  }

  /** What several at once are written by, each as it would be alone. @throws {MemoryError} */
  #together(): Scheduler {
    const create = (sequences: number): Scheduler =>
      this.createScheduler({ sequences, strict: true, maxWaiting: Number.MAX_SAFE_INTEGER });
    try {
      this.#scheduler ??= create(4);
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error;
      this.#scheduler = create(1);
    }
    return this.#scheduler;
  }

  #checkUsable(): void {
    this.#model.end.signal.throwIfAborted();
  }
}

function ready(prompt: PreparedPrompt): ChatPrompt | Promise<ChatPrompt> {
  return typeof prompt === "function" ? prompt() : prompt;
}

showBriefly(Llama.prototype, "Llama", ({ checkpoint, backend, contextLength }) => ({
  name: checkpoint.name,
  backend: backend.name,
  contextLength,
}));
