// What the library is told: a run, its rows and sequences, and steps. Declared here once; the library's declarations
// (native/structs.h) are written from these by `npm run build:kernels`, and the library says of which declarations it
// was built. References are u64: the number of an arena in the upper 16 bits, a byte offset in the lower 48; 0 stands
// for nothing. Strides and widths count words of 32 bits.

import type { StructValues } from "@polyllama/planner";
import { trainingSteps } from "./training-structs.ts";

/** What a call of the library computes. `rows`, `sequences` and `steps` refer to arrays of the structs below. */
export const run = {
  steps: "u64",
  rows: "u64",
  sequences: "u64",
  /** f32: pairs of cosine and sine for each row. */
  rotations: "u64",
  /** u32: rows that are selected. */
  selection: "u64",
  /** f32: what `attention` leaves to `combine`. */
  partials: "u64",
  stepCount: "u32",
  rowCount: "u32",
  sequenceCount: "u32",
  rotationStride: "u32",
} as const;

/** A row of a run. */
export const row = { token: "u32", sequence: "u32", position: "u32", unused: "u32" } as const;

/** Consecutive rows that attend to the same keys and values. */
export const sequence = {
  /** The pool's first block. */
  pool: "u64",
  /** u32: numbers of its blocks. */
  table: "u64",
  blockBytes: "u64",
  first: "u32",
  rows: "u32",
  format: "u32",
  unused: "u32",
} as const;

/** What is to be drawn from a row of logits. */
export const draw = {
  /** Share of the nucleus; 1 keeps all. */
  topP: "f64",
  seedLow: "u32",
  seedHigh: "u32",
  /** log2(e) / temperature. */
  scale: "f32",
  position: "u32",
  /** 0 keeps all. */
  topK: "u32",
  /** Least weight that is kept. */
  least: "u32",
  /** 1 picks the most probable token. */
  greedy: "u32",
  /** Row of the logits. */
  row: "u32",
} as const;

/** Steps of inference by kind: every step begins with it and the number of rows that it computes. */
export const inferenceSteps = {
  embedding: {
    kind: "u32",
    rows: "u32",
    table: "u64",
    y: "u64",
    format: "u32",
    columns: "u32",
    firstRow: "u32",
    yStride: "u32",
  },
  gather: { kind: "u32", rows: "u32", x: "u64", y: "u64", xStride: "u32", yStride: "u32", width: "u32", unused: "u32" },
  norm: {
    kind: "u32",
    rows: "u32",
    x: "u64",
    y: "u64",
    weight: "u64",
    xStride: "u32",
    yStride: "u32",
    width: "u32",
    eps: "f32",
  },
  /** Rounds norm(x), silu(x) up or x to int8; see native/kernels/convert.h. */
  convert: {
    kind: "u32",
    rows: "u32",
    x: "u64",
    up: "u64",
    weight: "u64",
    y: "u64",
    xStride: "u32",
    upStride: "u32",
    yStride: "u32",
    width: "u32",
    eps: "f32",
    unused: "u32",
  },
  linear: {
    kind: "u32",
    rows: "u32",
    weights: "u64",
    x: "u64",
    residual: "u64",
    y: "u64",
    format: "u32",
    firstRow: "u32",
    matrixRows: "u32",
    columns: "u32",
    xStride: "u32",
    residualStride: "u32",
    yStride: "u32",
    /** Whether x was rounded to int8. */
    converted: "u32",
  },
  rope: {
    kind: "u32",
    rows: "u32",
    x: "u64",
    y: "u64",
    xStride: "u32",
    yStride: "u32",
    width: "u32",
    headDim: "u32",
    rotation: "u32",
    /** 1 turns back. */
    backwards: "u32",
  },
  cache: {
    kind: "u32",
    rows: "u32",
    k: "u64",
    v: "u64",
    q: "u64",
    rotatedQ: "u64",
    kStride: "u32",
    vStride: "u32",
    qStride: "u32",
    rotatedQStride: "u32",
    heads: "u32",
    kvHeads: "u32",
    headDim: "u32",
    /** Values in a block of one position before this attention's keys. */
    before: "u32",
    /** Pairs before its own in a row of rotations; 2^32 - 1 where there is none. */
    kRotation: "u32",
    qRotation: "u32",
  },
  attention: {
    kind: "u32",
    rows: "u32",
    q: "u64",
    y: "u64",
    qStride: "u32",
    yStride: "u32",
    heads: "u32",
    kvHeads: "u32",
    headDim: "u32",
    before: "u32",
  },
  /** Joins the parts of keys that `attention` computed apart; comes behind it, with the same fields. */
  combine: {
    kind: "u32",
    rows: "u32",
    q: "u64",
    y: "u64",
    qStride: "u32",
    yStride: "u32",
    heads: "u32",
    kvHeads: "u32",
    headDim: "u32",
    before: "u32",
  },
  add: {
    kind: "u32",
    rows: "u32",
    a: "u64",
    b: "u64",
    y: "u64",
    aStride: "u32",
    bStride: "u32",
    yStride: "u32",
    width: "u32",
  },
  swiglu: {
    kind: "u32",
    rows: "u32",
    a: "u64",
    b: "u64",
    y: "u64",
    aStride: "u32",
    bStride: "u32",
    yStride: "u32",
    width: "u32",
  },
  copy: { kind: "u32", rows: "u32", from: "u64", to: "u64", bytes: "u64" },
  /** Draws tokens, u32, from `width` logits a row; `powers` is core's table. */
  sample: {
    kind: "u32",
    rows: "u32",
    x: "u64",
    powers: "u64",
    draws: "u64",
    chosen: "u64",
    xStride: "u32",
    width: "u32",
  },
  /** Rows of weights as a checkpoint stores them, into their groups. */
  repack: {
    kind: "u32",
    rows: "u32",
    /** Where the first of them lies: a reference, or an offset in the file. */
    from: "u64",
    to: "u64",
    format: "u32",
    columns: "u32",
    firstRow: "u32",
    /** The file's descriptor and one; 0 for rows that are in memory. */
    file: "u32",
  },
  /** Packed weights, whose rows are pages of a mebibyte; `to`, `bytes` and `checksums` are those of all pages. */
  read: {
    kind: "u32",
    rows: "u32",
    to: "u64",
    bytes: "u64",
    /** u64 for each page: its XXH64. */
    checksums: "u64",
    /** The file's descriptor and one; 0 for pages that are in memory already. */
    file: "u32",
    /** Whether checksums are made, and not compared. */
    sum: "u32",
    firstPage: "u32",
    unused: "u32",
  },
} as const;

/** All steps, in the order of their kinds. */
export const steps: typeof inferenceSteps & typeof trainingSteps = { ...inferenceSteps, ...trainingSteps };

export type StepName = keyof typeof steps;
export type StepFields<Name extends StepName> = Omit<StructValues<(typeof steps)[Name]>, "kind" | "unused">;

/** Every step takes as many bytes. */
export const stepBytes = 128;

/** No rotation. */
export const unrotated = 0xffffffff;

/** Attention sums over parts of so many keys, counted from position 0, and joins the sums in order. */
export const partKeys = 256;

/** The parts of sequences with at most so many rows in a run are computed apart, so that all threads have work. */
export const splitRows = 8;
