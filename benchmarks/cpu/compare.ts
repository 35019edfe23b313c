// Engines measured in turn on one file: all are loaded, each in a process of its own, and each round asks one after the
// other, so that other work on the machine meets all of them alike.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askLlamaBench, type LlamaBench } from "../engines/llama-bench.ts";
import type { EngineProcess } from "../engines/process.ts";
import type { LoadRequest } from "../engines/protocol.ts";
import { median } from "../support.ts";
import { type Model, warm } from "./models.ts";

/** An engine to start, any number of times. */
export interface Contender {
  readonly name: string;
  start(): EngineProcess;
  /** What it is told when it loads, beside the model. */
  readonly load?: Partial<LoadRequest>;
  /** It packs weights in a folder that it can be given. */
  readonly packs?: boolean;
}

export interface Measures {
  readonly threads: number;
  readonly rounds: number;
  readonly promptTokens: number;
  readonly generateTokens: number;
  /** Positions that are filled when decode is measured again; 0: it is not. */
  readonly filled: number;
  /** Measures what memory gives at the moment, in bytes a second: beside each decode, as it changes with other work. */
  readonly readMeter?: (() => number) | undefined;
}

/** Tokens a second, seconds to the first token, MiB: medians. What was not measured is missing. */
export interface Figures {
  readonly name: string;
  /** The best round, which other work on the machine has taken least from. */
  readonly best: { readonly prefill: number; readonly decode: number };
  readonly prefill: number;
  readonly decode: number;
  /** Of what memory gave beside each decode, the share that its weights' bytes are. */
  readonly readShare?: number | undefined;
  readonly decodeFilled?: number;
  readonly firstToken?: number;
  /** With no packed weights yet, where the engine packs them. */
  readonly firstTokenUnpacked?: number;
  readonly peak?: number;
}

/** Starts that the time to the first token is the median of. */
const starts = 3;

export async function compare(
  model: Model,
  contenders: readonly Contender[],
  measures: Measures,
  peer?: LlamaBench,
): Promise<readonly Figures[]> {
  const folder = await mkdtemp(join(tmpdir(), "polyllama-packed-"));
  const packed = join(folder, "packed");
  await mkdir(packed);
  await warm(model.file);
  const running = new Map<Contender, EngineProcess>();
  try {
    const unpacked = await firstTokens(
      model,
      contenders.filter(({ packs }) => packs),
      measures,
      () => mkdtemp(join(folder, "new-")),
    );
    const first = await firstTokens(model, contenders, measures, async () => packed);
    for (const contender of contenders) {
      const engine = contender.start();
      running.set(contender, engine);
      await engine.ask(loadRequest(model, contender, measures, packed));
    }
    const [rounds, peers] = await speeds(model, running, measures, peer);
    const filled = measures.filled > 0 ? await speedsFilled(running, measures) : undefined;
    const figures: Figures[] = [];
    for (const [contender, engine] of running) {
      figures.push({
        name: contender.name,
        ...summary(model, rounds.get(engine)),
        ...(filled !== undefined && { decodeFilled: median(filled.get(engine) ?? []) }),
        firstToken: median(first.get(contender) ?? []),
        ...(contender.packs && { firstTokenUnpacked: median(unpacked.get(contender) ?? []) }),
        peak: await engine.ask({ kind: "peak" }),
      });
    }
    if (peer !== undefined) {
      figures.push({ name: "peer", ...summary(model, peers) });
    }
    return figures;
  } finally {
    for (const engine of running.values()) engine.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function loadRequest(model: Model, contender: Contender, measures: Measures, cacheFolder: string): LoadRequest {
  return {
    kind: "load",
    model: model.file,
    threads: measures.threads,
    contextLength: Math.max(2048, measures.filled + 512),
    ...contender.load,
    ...(contender.packs && { cacheFolder }),
  };
}

/** Seconds from the start of loading to the first token, of fresh processes in turn. */
async function firstTokens(
  model: Model,
  contenders: readonly Contender[],
  measures: Measures,
  cacheFolder: () => Promise<string>,
): Promise<ReadonlyMap<Contender, readonly number[]>> {
  const seconds = new Map(contenders.map((contender) => [contender, [] as number[]]));
  for (let round = 0; round < starts; round++) {
    for (const [contender, list] of seconds) {
      const engine = contender.start();
      try {
        const load = await engine.ask(loadRequest(model, contender, measures, await cacheFolder()));
        list.push(load + (await engine.ask({ kind: "decode", tokens: 1 })));
      } finally {
        engine.stop();
      }
    }
  }
  return seconds;
}

interface Speeds {
  readonly prefill: number[];
  readonly decode: number[];
  /** Bytes a second that memory gave beside each decode. */
  readonly read: number[];
}

const noSpeeds = (): Speeds => ({ prefill: [], decode: [], read: [] });

function summary(model: Model, { prefill, decode, read }: Speeds = noSpeeds()) {
  const best = { prefill: Math.max(...prefill), decode: Math.max(...decode) };
  const shares = read.map((bytes, i) => ((decode[i] ?? 0) * model.bytesPerToken) / bytes);
  const readShare = shares.length === 0 ? undefined : median(shares);
  return { prefill: median(prefill), decode: median(decode), best, readShare };
}

async function speeds(
  model: Model,
  running: ReadonlyMap<Contender, EngineProcess>,
  { threads, rounds, promptTokens, generateTokens, readMeter }: Measures,
  peer: LlamaBench | undefined,
): Promise<readonly [ReadonlyMap<EngineProcess, Speeds>, Speeds]> {
  const samples = new Map([...running.values()].map((engine) => [engine, noSpeeds()]));
  const peers = noSpeeds();
  for (let round = -1; round < rounds; round++) {
    for (const [engine, { prefill, decode, read: bytes }] of samples) {
      const read = await engine.ask({ kind: "prefill", tokens: promptTokens });
      const written = await engine.ask({ kind: "decode", tokens: generateTokens });
      if (round < 0) continue; // warm-up
      prefill.push(promptTokens / read);
      decode.push(generateTokens / written);
      if (readMeter !== undefined) bytes.push(readMeter());
    }
    if (peer === undefined || round < 0) continue;
    const figures = await askLlamaBench(peer, { model: model.file, threads, promptTokens, generateTokens });
    peers.prefill.push(figures.prefill);
    peers.decode.push(figures.decode);
    if (readMeter !== undefined) peers.read.push(readMeter());
  }
  return [samples, peers];
}

async function speedsFilled(
  running: ReadonlyMap<Contender, EngineProcess>,
  { rounds, filled, generateTokens }: Measures,
): Promise<ReadonlyMap<EngineProcess, readonly number[]>> {
  const samples = new Map([...running.values()].map((engine) => [engine, [] as number[]]));
  for (const engine of samples.keys()) await engine.ask({ kind: "prefill", tokens: filled });
  for (let round = 0; round < rounds; round++) {
    for (const [engine, list] of samples) {
      await engine.ask({ kind: "rewind", tokens: filled });
      list.push(generateTokens / (await engine.ask({ kind: "decode", tokens: generateTokens })));
    }
  }
  return samples;
}
