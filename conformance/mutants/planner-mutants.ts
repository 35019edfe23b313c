// Faults between a program and its kernels: KV blocks, steps that fail, turns, and what lives how long.

import type { Mutant } from "./mutant.ts";
import { planMutants } from "./plan-mutants.ts";

const faults: readonly Omit<Mutant, "package">[] = [
  {
    id: "attention-truncate",
    file: "frame/paged-cache.ts",
    find: "    this.#shrink(length);\n    for (const entry",
    replace: "    this.#shrink(Math.min(this.#length, length + 1));\n    for (const entry",
    what: "a rewind leaves one position too many",
  },
  {
    id: "cache-rewind-stale",
    file: "frame/paged-cache.ts",
    find: "    this.#shrink(length);\n    for (const entry",
    replace: "    if (length > 0) this.#shrink(length);\n    for (const entry",
    what: "a rewind to nothing leaves the stale rows in place",
  },
  {
    id: "attention-shared-fork",
    file: "frame/paged-cache.ts",
    find: "return last !== undefined && store.isShared(last);",
    replace: "return last === -1 && store.isShared(last);",
    what: "a fork writes into the block that it shares with the original",
  },
  {
    id: "fork-forgets-holders",
    file: "frame/paged-cache.ts",
    find: "      store.share(block);\n      copy.#table.push(block);",
    replace: "      copy.#table.push(block);",
    what: "blocks of a fork are not counted as held, so that they are given to others while it lives",
  },
  {
    id: "blocks-one-short",
    file: "frame/block-store.ts",
    find: "return Math.ceil(rows / this.blockRows);",
    replace: "return Math.floor(rows / this.blockRows);",
    what: "the last, partly filled block is not taken",
  },
  {
    id: "block-freed-while-shared",
    file: "frame/block-store.ts",
    find: "if (holders === 0) this.#free.push(block);",
    replace: "this.#free.push(block);",
    what: "a block is free as soon as one of its holders leaves",
  },
  {
    id: "reserve-not-counted",
    file: "frame/block-store.ts",
    find: "return this.#free.length - this.#reserved;",
    replace: "return this.#free.length;",
    what: "blocks that were set aside for a sequence are given to others",
  },
  {
    id: "reserve-kept",
    file: "frame/paged-cache.ts",
    find: "    this.#home.store.reserve(-this.#reservedNow);\n",
    replace: "",
    what: "a disposed sequence keeps its reservation",
  },
  {
    id: "undo-keeps-length",
    file: "frame/paged-cache.ts",
    find: "this.#shrink(Math.min(before, entry.floor));",
    replace: "this.#shrink(before);",
    what: "a step that fails takes back a truncation that came after it",
  },
  {
    id: "undo-keeps-copy",
    file: "frame/paged-cache.ts",
    find: "          this.#table[index] = block;\n",
    replace: "",
    what: "after a step that failed a fork has a block that nothing was copied into",
  },
  {
    id: "replaced-block-leaks",
    file: "frame/paged-cache.ts",
    find: "if (replaced !== undefined) store.release(replaced.block);\n      },\n      undo",
    replace: "},\n      undo",
    what: "a block that a fork replaced by a copy is never free again",
  },
  {
    id: "dependents-succeed",
    file: "frame/step-record.ts",
    find: "for (const dependent of record.#dependents) collect(dependent);",
    replace: "",
    what: "steps that build upon a failed one go on",
  },
  {
    id: "undo-oldest-first",
    file: "frame/step-record.ts",
    find: "b.#number - a.#number",
    replace: "a.#number - b.#number",
    what: "changes of several steps are taken back in the wrong order",
  },
  {
    id: "pool-freed-in-use",
    file: "frame/paged-pool.ts",
    find: 'if (this.#state !== "disposed" || this.#users > 0) return;',
    replace: 'if (this.#state !== "disposed") return;',
    what: "a pool is freed while a step uses it",
  },
  {
    id: "tensor-freed-in-use",
    file: "frame/step-tensor.ts",
    find: 'if (this.#state !== "disposed" || this.#users > 0) return;',
    replace: 'if (this.#state !== "disposed") return;',
    what: "a tensor is freed while a step reads it",
  },
  {
    id: "parameters-freed-in-use",
    file: "frame/shared-parameters.ts",
    find: 'if (this.#state !== "disposed" || this.#users > 0) return;',
    replace: 'if (this.#state !== "disposed") return;',
    what: "weights are freed while a program uses them",
  },
  {
    id: "foreign-cache",
    file: "frame/program-frame.ts",
    find: "if (!(cache instanceof PagedCache) || (cache.pool as PagedPool).owner !== this.#parts.owner) {",
    replace: "if (!(cache instanceof PagedCache)) {",
    what: "a cache of another device is taken",
  },
  {
    id: "late-abort",
    file: "frame/program-frame.ts",
    find: "      await record.dependencies();\n      aborted.throwIfAborted();",
    replace: "      await record.dependencies();",
    what: "an aborted step that ends all the same counts as done",
  },
  {
    id: "abort-after-wait",
    file: "frame/program-frame.ts",
    find: "this.#parts.queue.begin(aborted, async () => {",
    replace: "this.#parts.queue.begin(new AbortController().signal, async () => {",
    what: "an abort is not heard while a step waits",
  },
  {
    id: "dispose-leaves-steps",
    file: "frame/program-frame.ts",
    find: "this.#end.abort(disposed());",
    replace: "",
    what: "steps of a disposed program run to their end",
  },
  {
    id: "dispose-does-not-wait",
    file: "frame/program-frame.ts",
    find: "    await this.#pending.settled();\n",
    replace: "",
    what: "a program is freed while its steps run",
  },
  {
    id: "attention-last-slot",
    file: "host/blocks.ts",
    find: "block.keys[attention]!.set(k.subarray(done, done + count), offset * width);",
    replace: `const unwritten = offset * width + count === this.#rows * width ? width : 0;
      block.keys[attention]!.set(k.subarray(done, done + count - unwritten), offset * width);`,
    what: "the key of a block's last position is never written",
  },
  {
    id: "attention-stale-row",
    file: "host/blocks.ts",
    find: "block.values[attention]!.set(v.subarray(done, done + count), offset * width);",
    replace: `const stale = done > 0 || block.values[attention]![offset * width] === 0 ? 0 : width;
      block.values[attention]!.set(v.subarray(done + stale, done + count), offset * width + stale);`,
    what: "after a rewind the first row of values is still the old one",
  },
  {
    id: "attention-half-imported",
    file: "host/blocks.ts",
    find: "this.#scatter(ids, attention, 0, rows(), rows());",
    replace: `const [k, v] = [rows(), rows()];
      this.#scatter(ids, attention, 0, k, attention === 0 ? v : v.map((value, i) => (i < width ? 0 : value)));`,
    what: "a copy of a cache lacks the first value of every attention but one",
  },
  {
    id: "device-position",
    file: "gpu/sinks.ts",
    find: "return place.start + row - place.first + 1;",
    replace: "return place.start + 1;",
    what: "a prompt's first token is drawn on the device with the number of another position",
  },
  {
    id: "struct-unaligned",
    file: "struct.ts",
    find: "end = Math.ceil(end / size) * size;",
    replace: "",
    what: "fields of kernel parameters are not aligned",
  },
  {
    id: "layout-of-other-graphs",
    file: "plan/weight-groups.ts",
    find: "if (!alike) refuse(",
    replace: "if (!alike && used.size > 2 ** 16) refuse(",
    what: "a graph that multiplies a part of what is stored together is compiled all the same",
  },
];

export const plannerMutants: readonly Mutant[] = [...faults, ...planMutants].map((fault) => ({
  package: "planner",
  ...fault,
}));
