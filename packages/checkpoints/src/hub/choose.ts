// Which files of a repository make a checkpoint, and which checkpoint to take when nobody says: the safetensors if they
// fit the memory, else the first GGUF that does, in an order that starts with what most people run. What is needed for
// that is the list of files with their sizes; nothing has to be fetched first.

import { PolyllamaError } from "@polyllama/core";
import { templateFolder, templateName } from "../read/template-files.ts";
import { textFileNames } from "../read/text-files.ts";

export interface RepositoryFile {
  /** Within the repository, with `/` between folders. */
  readonly path: string;
  readonly size: number;
}

/** A checkpoint of a repository. */
export interface HubCheckpoint {
  /** What can follow the colon of an address. */
  readonly name: string;
  readonly kind: "safetensors" | "gguf" | "pytorch" | "pth" | "llama2.c";
  /** What a GGUF file's name says of its type, such as `Q4_K_M`. */
  readonly type: string | undefined;
  /** Weights, configuration and tokenizer: all that has to be there to open it. */
  readonly files: readonly RepositoryFile[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes of memory that running it on a CPU takes, roughly. */
  readonly memory: number;
  /** What is opened: a file, or a folder (`""` is the repository itself). */
  readonly location: string;
  /** Shards that its names promise and that are not there. */
  readonly missing: number;
}

/** GGUF types from the one to try first. What is not among them is taken only when it is asked for by name. */
const preferredTypes = [
  ..."Q4_K_M Q4_K_L Q4_K Q4_K_S Q5_K_M Q5_K_L Q5_K Q5_K_S Q4_0 Q4_1 Q6_K Q6_K_L Q8_0 Q5_0 Q5_1 IQ4_NL".split(" "),
  ..."Q3_K_L Q3_K_M Q3_K Q3_K_S Q2_K Q2_K_L Q2_K_S F16 BF16 F32".split(" "),
];

const typeInName =
  /(?<![A-Za-z\d])(?:IQ\d_[A-Z]+|TQ\d_\d|Q\d_(?:K(?:_[A-Z]+)?|\d(?:_\d_\d)?)|BF16|F(?:P?16|P?32)|MXFP4)(?![A-Za-z\d_])/gi;

const companions = ["config.json", "tokenizer.model", "tokenizer.json", ...textFileNames];

/** All checkpoints among the files, in the order of the files. */
export function findCheckpoints(files: readonly RepositoryFile[]): readonly HubCheckpoint[] {
  const folders = new Map<string, RepositoryFile[]>();
  for (const file of files) {
    const own = folders.get(folderOf(file.path)) ?? [];
    own.push(file);
    folders.set(folderOf(file.path), own);
  }
  return [...folders].flatMap(([folder, own]) => {
    const above = folder === "" ? [] : (folders.get(folderOf(folder)) ?? []);
    const templates = folders.get(folder === "" ? templateFolder : `${folder}/${templateFolder}`) ?? [];
    return [...huggingFace(folder, own, templates), ...ggufs(own), ...meta(own, above)];
  });
}

/** Safetensors beside a config.json; files of PyTorch only where there are none. */
function huggingFace(
  folder: string,
  files: readonly RepositoryFile[],
  templates: readonly RepositoryFile[],
): readonly HubCheckpoint[] {
  const named = (name: string) => files.find(({ path }) => baseOf(path) === name);
  if (named("config.json") === undefined) return [];
  const beside = [
    ...files.filter(({ path }) => companions.includes(baseOf(path))),
    ...templates.filter(({ path }) => templateName(baseOf(path)) !== undefined),
  ];
  for (const [kind, stem, ending] of [
    ["safetensors", "model", "safetensors"],
    ["pytorch", "pytorch_model", "bin"],
  ] as const) {
    const whole = named(`${stem}.${ending}`);
    if (whole !== undefined) return [checkpoint(kind, whole.path, folder, [whole, ...beside])];
    const index = named(`${stem}.${ending}.index.json`);
    if (index !== undefined) {
      const shards = files.filter(({ path }) => path.endsWith(`.${ending}`) && shardNumbers.test(path));
      const promised = Number(shardNumbers.exec(shards[0]?.path ?? "")?.[1] ?? shards.length + 1);
      const all = [...shards, index, ...beside];
      return [{ ...checkpoint(kind, index.path, folder, all), missing: promised - shards.length }];
    }
    const others = files.filter(({ path }) => path.endsWith(".safetensors") && !baseOf(path).includes("adapter"));
    if (others.length > 0) return others.map((file) => checkpoint(kind, file.path, file.path, [file, ...beside]));
  }
  return [];
}

const shardNumbers = /-\d{5}-of-(\d{5})\.\w+$/;

function ggufs(files: readonly RepositoryFile[]): HubCheckpoint[] {
  const groups = new Map<string, RepositoryFile[]>();
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || /mmproj|imatrix/i.test(baseOf(file.path))) continue;
    const group = file.path.replace(/-\d{5}(-of-\d{5}\.gguf)$/i, "$1");
    const shards = groups.get(group) ?? [];
    shards.push(file);
    groups.set(group, shards);
  }
  return [...groups.values()].map((shards) => {
    shards.sort((a, b) => (a.path < b.path ? -1 : 1));
    const first = shards[0]!.path;
    const promised = Number(shardNumbers.exec(first)?.[1] ?? 1);
    const type = baseOf(first).match(typeInName)?.at(-1)?.toUpperCase().replace("FP", "F");
    return { ...checkpoint("gguf", first, first, shards, type), missing: promised - shards.length };
  });
}

/** Meta's own files; their tokenizer may lie one folder further up. */
function meta(files: readonly RepositoryFile[], above: readonly RepositoryFile[]): HubCheckpoint[] {
  const shards = files.filter(({ path }) => /^consolidated\.\d\d\.pth$/.test(baseOf(path)));
  const [first] = shards;
  const params = files.find(({ path }) => baseOf(path) === "params.json");
  if (first === undefined || params === undefined) return [];
  const tokenizer = [...files, ...above].find(({ path }) => baseOf(path) === "tokenizer.model");
  return [checkpoint("pth", first.path, first.path, [...shards, params, ...(tokenizer ? [tokenizer] : [])])];
}

function checkpoint(
  kind: HubCheckpoint["kind"],
  name: string,
  location: string,
  files: readonly RepositoryFile[],
  type?: string,
): HubCheckpoint {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return { name, kind, type, files, bytes, memory: estimate(bytes, type), location, missing: 0 };
}

/**
 * Quantized weights take up to 1.6 times their file on a CPU, 16-bit floats are widened to 32; half a GiB goes to the
 * cache and the rest. Safetensors are taken to hold 16 bits, as nearly all do.
 */
function estimate(bytes: number, type: string | undefined): number {
  const factor = type === "F32" ? 1 : type === undefined || /16$/.test(type) ? 2 : 1.6;
  return Math.round(bytes * factor) + 2 ** 29;
}

export interface Choice {
  readonly checkpoint: HubCheckpoint;
  /** Why this one, as a sentence. */
  readonly reason: string;
}

/**
 * The checkpoint that `wanted` names, else the one that suits `memory` bytes best.
 *
 * @throws {PolyllamaError} `ERR_HUB`, listing what there is.
 */
export function chooseCheckpoint(
  files: readonly RepositoryFile[],
  wanted: string | undefined,
  memory: number,
  where: string,
): Choice {
  const all = findCheckpoints(files);
  const complete = all.filter(({ missing }) => missing === 0);
  if (wanted !== undefined) {
    const found = named(files, all, wanted);
    if (found.length > 1) throw several(where, `match ":${wanted}"`, found);
    const [only] = found;
    if (only === undefined) throw new PolyllamaError("ERR_HUB", `${where} has no ":${wanted}". ${whatThereIs(all)}`);
    if (only.missing > 0) {
      const problem = `${only.name} in ${where} is incomplete: ${only.missing} of its files are missing.`;
      throw new PolyllamaError("ERR_HUB", `${problem} Choose another with ":file".`);
    }
    return { checkpoint: only, reason: `${describe(only)}, as asked.` };
  }

  const ranked = complete.map((each) => ({ each, rank: rankOf(each) })).filter(({ rank }) => rank < Infinity);
  const fitting = ranked.filter(({ each }) => each.memory <= memory);
  const best = Math.min(...fitting.map(({ rank }) => rank));
  const chosen = fitting.filter(({ rank }) => rank === best).map(({ each }) => each);
  if (chosen.length > 1) throw several(where, "suit equally well", chosen);
  const [only] = chosen;
  if (only === undefined) {
    if (ranked.length === 0)
      throw new PolyllamaError("ERR_HUB", `${where} holds nothing to choose. ${whatThereIs(all)}`);
    throw new PolyllamaError(
      "ERR_HUB",
      `Nothing in ${where} fits this machine's ${amount(memory)} of memory. ${whatThereIs(complete)} ` +
        `To take one all the same, name it, such as ":${ranked[0]!.each.name}".`,
    );
  }
  const passed = ranked.filter(({ each, rank }) => rank < best && each.memory > memory).map(({ each }) => each.name);
  const because = passed.length === 0 ? "" : `; ${passed.join(", ")} would not fit`;
  return {
    checkpoint: only,
    reason:
      `${describe(only)}: takes about ${amount(only.memory)} of this machine's ${amount(memory)} of memory${because}.` +
      (complete.length > 1 ? ` ${complete.length - 1} more to choose from with ":file".` : ""),
  };
}

/** Safetensors before GGUF before files of PyTorch before Meta's, and what lies on top before what lies in folders. */
function rankOf({ kind, type, name }: HubCheckpoint): number {
  const depth = name.split("/").length - 1;
  if (kind === "safetensors") return Math.min(depth, 9);
  if (kind === "pytorch") return 1000 + depth;
  if (kind === "pth") return 2000 + depth;
  const order = type === undefined ? preferredTypes.length : preferredTypes.indexOf(type);
  return order < 0 ? Infinity : 10 + order;
}

function named(
  files: readonly RepositoryFile[],
  all: readonly HubCheckpoint[],
  wanted: string,
): readonly HubCheckpoint[] {
  const holding = all.filter(({ kind, files: own }) =>
    own.some(({ path }) => path === wanted && (kind === "gguf" || !companions.includes(baseOf(path)))),
  );
  if (holding.length > 0) return holding;
  const file = files.find(({ path }) => path === wanted);
  if (file !== undefined && /\.bin$/.test(file.path) && !/pytorch_model/.test(file.path)) {
    const folder = folderOf(file.path);
    const tokenizers = files.filter(({ path }) => folderOf(path) === folder && /^tok\w*\.bin$/.test(baseOf(path)));
    return [checkpoint("llama2.c", file.path, file.path, [file, ...tokenizers.filter(({ path }) => path !== wanted)])];
  }
  const label = wanted.toUpperCase();
  return all.filter(
    ({ kind, type, name }) => type === label || kind.toUpperCase() === label || folderOf(name) === wanted,
  );
}

function several(where: string, problem: string, found: readonly HubCheckpoint[]): PolyllamaError {
  return new PolyllamaError(
    "ERR_HUB",
    `Several files of ${where} ${problem}. ${whatThereIs(found)} Choose with ":file".`,
  );
}

function whatThereIs(all: readonly HubCheckpoint[]): string {
  if (all.length === 0) return "There is no checkpoint in it that is read here.";
  const listed = all.slice(0, 30).map((each) => `${each.name} (${amount(each.bytes)})`);
  return `There is: ${listed.join(", ")}${all.length > 30 ? ", and more" : ""}.`;
}

function describe({ name, bytes }: HubCheckpoint): string {
  return `${name} (${amount(bytes)})`;
}

/** 5368709120 -> "5.0 GiB" */
export function amount(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
