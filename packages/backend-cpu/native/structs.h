// Written by `npm run build:kernels` from src/native/structs.ts.
#pragma once
#include "types.h"

struct Run {
  u64 steps;
  u64 rows;
  u64 sequences;
  u64 rotations;
  u64 selection;
  u64 partials;
  u32 stepCount;
  u32 rowCount;
  u32 sequenceCount;
  u32 rotationStride;
};
static_assert(sizeof(Run) == 64, "Run");
static_assert(__builtin_offsetof(Run, steps) == 0, "Run.steps");
static_assert(__builtin_offsetof(Run, rows) == 8, "Run.rows");
static_assert(__builtin_offsetof(Run, sequences) == 16, "Run.sequences");
static_assert(__builtin_offsetof(Run, rotations) == 24, "Run.rotations");
static_assert(__builtin_offsetof(Run, selection) == 32, "Run.selection");
static_assert(__builtin_offsetof(Run, partials) == 40, "Run.partials");
static_assert(__builtin_offsetof(Run, stepCount) == 48, "Run.stepCount");
static_assert(__builtin_offsetof(Run, rowCount) == 52, "Run.rowCount");
static_assert(__builtin_offsetof(Run, sequenceCount) == 56, "Run.sequenceCount");
static_assert(__builtin_offsetof(Run, rotationStride) == 60, "Run.rotationStride");

struct Row {
  u32 token;
  u32 sequence;
  u32 position;
  u32 unused;
};
static_assert(sizeof(Row) == 16, "Row");
static_assert(__builtin_offsetof(Row, token) == 0, "Row.token");
static_assert(__builtin_offsetof(Row, sequence) == 4, "Row.sequence");
static_assert(__builtin_offsetof(Row, position) == 8, "Row.position");
static_assert(__builtin_offsetof(Row, unused) == 12, "Row.unused");

struct Sequence {
  u64 pool;
  u64 table;
  u64 blockBytes;
  u32 first;
  u32 rows;
  u32 format;
  u32 unused;
};
static_assert(sizeof(Sequence) == 40, "Sequence");
static_assert(__builtin_offsetof(Sequence, pool) == 0, "Sequence.pool");
static_assert(__builtin_offsetof(Sequence, table) == 8, "Sequence.table");
static_assert(__builtin_offsetof(Sequence, blockBytes) == 16, "Sequence.blockBytes");
static_assert(__builtin_offsetof(Sequence, first) == 24, "Sequence.first");
static_assert(__builtin_offsetof(Sequence, rows) == 28, "Sequence.rows");
static_assert(__builtin_offsetof(Sequence, format) == 32, "Sequence.format");
static_assert(__builtin_offsetof(Sequence, unused) == 36, "Sequence.unused");

struct Draw {
  double topP;
  u32 seedLow;
  u32 seedHigh;
  float scale;
  u32 position;
  u32 topK;
  u32 least;
  u32 greedy;
  u32 row;
};
static_assert(sizeof(Draw) == 40, "Draw");
static_assert(__builtin_offsetof(Draw, topP) == 0, "Draw.topP");
static_assert(__builtin_offsetof(Draw, seedLow) == 8, "Draw.seedLow");
static_assert(__builtin_offsetof(Draw, seedHigh) == 12, "Draw.seedHigh");
static_assert(__builtin_offsetof(Draw, scale) == 16, "Draw.scale");
static_assert(__builtin_offsetof(Draw, position) == 20, "Draw.position");
static_assert(__builtin_offsetof(Draw, topK) == 24, "Draw.topK");
static_assert(__builtin_offsetof(Draw, least) == 28, "Draw.least");
static_assert(__builtin_offsetof(Draw, greedy) == 32, "Draw.greedy");
static_assert(__builtin_offsetof(Draw, row) == 36, "Draw.row");

struct EmbeddingStep {
  u32 kind;
  u32 rows;
  u64 table;
  u64 y;
  u32 format;
  u32 columns;
  u32 firstRow;
  u32 yStride;
};
static_assert(sizeof(EmbeddingStep) == 40, "EmbeddingStep");
static_assert(__builtin_offsetof(EmbeddingStep, kind) == 0, "EmbeddingStep.kind");
static_assert(__builtin_offsetof(EmbeddingStep, rows) == 4, "EmbeddingStep.rows");
static_assert(__builtin_offsetof(EmbeddingStep, table) == 8, "EmbeddingStep.table");
static_assert(__builtin_offsetof(EmbeddingStep, y) == 16, "EmbeddingStep.y");
static_assert(__builtin_offsetof(EmbeddingStep, format) == 24, "EmbeddingStep.format");
static_assert(__builtin_offsetof(EmbeddingStep, columns) == 28, "EmbeddingStep.columns");
static_assert(__builtin_offsetof(EmbeddingStep, firstRow) == 32, "EmbeddingStep.firstRow");
static_assert(__builtin_offsetof(EmbeddingStep, yStride) == 36, "EmbeddingStep.yStride");

struct GatherStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 y;
  u32 xStride;
  u32 yStride;
  u32 width;
  u32 unused;
};
static_assert(sizeof(GatherStep) == 40, "GatherStep");
static_assert(__builtin_offsetof(GatherStep, kind) == 0, "GatherStep.kind");
static_assert(__builtin_offsetof(GatherStep, rows) == 4, "GatherStep.rows");
static_assert(__builtin_offsetof(GatherStep, x) == 8, "GatherStep.x");
static_assert(__builtin_offsetof(GatherStep, y) == 16, "GatherStep.y");
static_assert(__builtin_offsetof(GatherStep, xStride) == 24, "GatherStep.xStride");
static_assert(__builtin_offsetof(GatherStep, yStride) == 28, "GatherStep.yStride");
static_assert(__builtin_offsetof(GatherStep, width) == 32, "GatherStep.width");
static_assert(__builtin_offsetof(GatherStep, unused) == 36, "GatherStep.unused");

struct NormStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 y;
  u64 weight;
  u32 xStride;
  u32 yStride;
  u32 width;
  float eps;
};
static_assert(sizeof(NormStep) == 48, "NormStep");
static_assert(__builtin_offsetof(NormStep, kind) == 0, "NormStep.kind");
static_assert(__builtin_offsetof(NormStep, rows) == 4, "NormStep.rows");
static_assert(__builtin_offsetof(NormStep, x) == 8, "NormStep.x");
static_assert(__builtin_offsetof(NormStep, y) == 16, "NormStep.y");
static_assert(__builtin_offsetof(NormStep, weight) == 24, "NormStep.weight");
static_assert(__builtin_offsetof(NormStep, xStride) == 32, "NormStep.xStride");
static_assert(__builtin_offsetof(NormStep, yStride) == 36, "NormStep.yStride");
static_assert(__builtin_offsetof(NormStep, width) == 40, "NormStep.width");
static_assert(__builtin_offsetof(NormStep, eps) == 44, "NormStep.eps");

struct ConvertStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 up;
  u64 weight;
  u64 y;
  u32 xStride;
  u32 upStride;
  u32 yStride;
  u32 width;
  float eps;
  u32 unused;
};
static_assert(sizeof(ConvertStep) == 64, "ConvertStep");
static_assert(__builtin_offsetof(ConvertStep, kind) == 0, "ConvertStep.kind");
static_assert(__builtin_offsetof(ConvertStep, rows) == 4, "ConvertStep.rows");
static_assert(__builtin_offsetof(ConvertStep, x) == 8, "ConvertStep.x");
static_assert(__builtin_offsetof(ConvertStep, up) == 16, "ConvertStep.up");
static_assert(__builtin_offsetof(ConvertStep, weight) == 24, "ConvertStep.weight");
static_assert(__builtin_offsetof(ConvertStep, y) == 32, "ConvertStep.y");
static_assert(__builtin_offsetof(ConvertStep, xStride) == 40, "ConvertStep.xStride");
static_assert(__builtin_offsetof(ConvertStep, upStride) == 44, "ConvertStep.upStride");
static_assert(__builtin_offsetof(ConvertStep, yStride) == 48, "ConvertStep.yStride");
static_assert(__builtin_offsetof(ConvertStep, width) == 52, "ConvertStep.width");
static_assert(__builtin_offsetof(ConvertStep, eps) == 56, "ConvertStep.eps");
static_assert(__builtin_offsetof(ConvertStep, unused) == 60, "ConvertStep.unused");

struct LinearStep {
  u32 kind;
  u32 rows;
  u64 weights;
  u64 x;
  u64 residual;
  u64 y;
  u32 format;
  u32 firstRow;
  u32 matrixRows;
  u32 columns;
  u32 xStride;
  u32 residualStride;
  u32 yStride;
  u32 converted;
};
static_assert(sizeof(LinearStep) == 72, "LinearStep");
static_assert(__builtin_offsetof(LinearStep, kind) == 0, "LinearStep.kind");
static_assert(__builtin_offsetof(LinearStep, rows) == 4, "LinearStep.rows");
static_assert(__builtin_offsetof(LinearStep, weights) == 8, "LinearStep.weights");
static_assert(__builtin_offsetof(LinearStep, x) == 16, "LinearStep.x");
static_assert(__builtin_offsetof(LinearStep, residual) == 24, "LinearStep.residual");
static_assert(__builtin_offsetof(LinearStep, y) == 32, "LinearStep.y");
static_assert(__builtin_offsetof(LinearStep, format) == 40, "LinearStep.format");
static_assert(__builtin_offsetof(LinearStep, firstRow) == 44, "LinearStep.firstRow");
static_assert(__builtin_offsetof(LinearStep, matrixRows) == 48, "LinearStep.matrixRows");
static_assert(__builtin_offsetof(LinearStep, columns) == 52, "LinearStep.columns");
static_assert(__builtin_offsetof(LinearStep, xStride) == 56, "LinearStep.xStride");
static_assert(__builtin_offsetof(LinearStep, residualStride) == 60, "LinearStep.residualStride");
static_assert(__builtin_offsetof(LinearStep, yStride) == 64, "LinearStep.yStride");
static_assert(__builtin_offsetof(LinearStep, converted) == 68, "LinearStep.converted");

struct RopeStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 y;
  u32 xStride;
  u32 yStride;
  u32 width;
  u32 headDim;
  u32 rotation;
  u32 unused;
};
static_assert(sizeof(RopeStep) == 48, "RopeStep");
static_assert(__builtin_offsetof(RopeStep, kind) == 0, "RopeStep.kind");
static_assert(__builtin_offsetof(RopeStep, rows) == 4, "RopeStep.rows");
static_assert(__builtin_offsetof(RopeStep, x) == 8, "RopeStep.x");
static_assert(__builtin_offsetof(RopeStep, y) == 16, "RopeStep.y");
static_assert(__builtin_offsetof(RopeStep, xStride) == 24, "RopeStep.xStride");
static_assert(__builtin_offsetof(RopeStep, yStride) == 28, "RopeStep.yStride");
static_assert(__builtin_offsetof(RopeStep, width) == 32, "RopeStep.width");
static_assert(__builtin_offsetof(RopeStep, headDim) == 36, "RopeStep.headDim");
static_assert(__builtin_offsetof(RopeStep, rotation) == 40, "RopeStep.rotation");
static_assert(__builtin_offsetof(RopeStep, unused) == 44, "RopeStep.unused");

struct CacheStep {
  u32 kind;
  u32 rows;
  u64 k;
  u64 v;
  u64 q;
  u64 rotatedQ;
  u32 kStride;
  u32 vStride;
  u32 qStride;
  u32 rotatedQStride;
  u32 heads;
  u32 kvHeads;
  u32 headDim;
  u32 before;
  u32 kRotation;
  u32 qRotation;
};
static_assert(sizeof(CacheStep) == 80, "CacheStep");
static_assert(__builtin_offsetof(CacheStep, kind) == 0, "CacheStep.kind");
static_assert(__builtin_offsetof(CacheStep, rows) == 4, "CacheStep.rows");
static_assert(__builtin_offsetof(CacheStep, k) == 8, "CacheStep.k");
static_assert(__builtin_offsetof(CacheStep, v) == 16, "CacheStep.v");
static_assert(__builtin_offsetof(CacheStep, q) == 24, "CacheStep.q");
static_assert(__builtin_offsetof(CacheStep, rotatedQ) == 32, "CacheStep.rotatedQ");
static_assert(__builtin_offsetof(CacheStep, kStride) == 40, "CacheStep.kStride");
static_assert(__builtin_offsetof(CacheStep, vStride) == 44, "CacheStep.vStride");
static_assert(__builtin_offsetof(CacheStep, qStride) == 48, "CacheStep.qStride");
static_assert(__builtin_offsetof(CacheStep, rotatedQStride) == 52, "CacheStep.rotatedQStride");
static_assert(__builtin_offsetof(CacheStep, heads) == 56, "CacheStep.heads");
static_assert(__builtin_offsetof(CacheStep, kvHeads) == 60, "CacheStep.kvHeads");
static_assert(__builtin_offsetof(CacheStep, headDim) == 64, "CacheStep.headDim");
static_assert(__builtin_offsetof(CacheStep, before) == 68, "CacheStep.before");
static_assert(__builtin_offsetof(CacheStep, kRotation) == 72, "CacheStep.kRotation");
static_assert(__builtin_offsetof(CacheStep, qRotation) == 76, "CacheStep.qRotation");

struct AttentionStep {
  u32 kind;
  u32 rows;
  u64 q;
  u64 y;
  u32 qStride;
  u32 yStride;
  u32 heads;
  u32 kvHeads;
  u32 headDim;
  u32 before;
};
static_assert(sizeof(AttentionStep) == 48, "AttentionStep");
static_assert(__builtin_offsetof(AttentionStep, kind) == 0, "AttentionStep.kind");
static_assert(__builtin_offsetof(AttentionStep, rows) == 4, "AttentionStep.rows");
static_assert(__builtin_offsetof(AttentionStep, q) == 8, "AttentionStep.q");
static_assert(__builtin_offsetof(AttentionStep, y) == 16, "AttentionStep.y");
static_assert(__builtin_offsetof(AttentionStep, qStride) == 24, "AttentionStep.qStride");
static_assert(__builtin_offsetof(AttentionStep, yStride) == 28, "AttentionStep.yStride");
static_assert(__builtin_offsetof(AttentionStep, heads) == 32, "AttentionStep.heads");
static_assert(__builtin_offsetof(AttentionStep, kvHeads) == 36, "AttentionStep.kvHeads");
static_assert(__builtin_offsetof(AttentionStep, headDim) == 40, "AttentionStep.headDim");
static_assert(__builtin_offsetof(AttentionStep, before) == 44, "AttentionStep.before");

struct CombineStep {
  u32 kind;
  u32 rows;
  u64 q;
  u64 y;
  u32 qStride;
  u32 yStride;
  u32 heads;
  u32 kvHeads;
  u32 headDim;
  u32 before;
};
static_assert(sizeof(CombineStep) == 48, "CombineStep");
static_assert(__builtin_offsetof(CombineStep, kind) == 0, "CombineStep.kind");
static_assert(__builtin_offsetof(CombineStep, rows) == 4, "CombineStep.rows");
static_assert(__builtin_offsetof(CombineStep, q) == 8, "CombineStep.q");
static_assert(__builtin_offsetof(CombineStep, y) == 16, "CombineStep.y");
static_assert(__builtin_offsetof(CombineStep, qStride) == 24, "CombineStep.qStride");
static_assert(__builtin_offsetof(CombineStep, yStride) == 28, "CombineStep.yStride");
static_assert(__builtin_offsetof(CombineStep, heads) == 32, "CombineStep.heads");
static_assert(__builtin_offsetof(CombineStep, kvHeads) == 36, "CombineStep.kvHeads");
static_assert(__builtin_offsetof(CombineStep, headDim) == 40, "CombineStep.headDim");
static_assert(__builtin_offsetof(CombineStep, before) == 44, "CombineStep.before");

struct AddStep {
  u32 kind;
  u32 rows;
  u64 a;
  u64 b;
  u64 y;
  u32 aStride;
  u32 bStride;
  u32 yStride;
  u32 width;
};
static_assert(sizeof(AddStep) == 48, "AddStep");
static_assert(__builtin_offsetof(AddStep, kind) == 0, "AddStep.kind");
static_assert(__builtin_offsetof(AddStep, rows) == 4, "AddStep.rows");
static_assert(__builtin_offsetof(AddStep, a) == 8, "AddStep.a");
static_assert(__builtin_offsetof(AddStep, b) == 16, "AddStep.b");
static_assert(__builtin_offsetof(AddStep, y) == 24, "AddStep.y");
static_assert(__builtin_offsetof(AddStep, aStride) == 32, "AddStep.aStride");
static_assert(__builtin_offsetof(AddStep, bStride) == 36, "AddStep.bStride");
static_assert(__builtin_offsetof(AddStep, yStride) == 40, "AddStep.yStride");
static_assert(__builtin_offsetof(AddStep, width) == 44, "AddStep.width");

struct SwigluStep {
  u32 kind;
  u32 rows;
  u64 a;
  u64 b;
  u64 y;
  u32 aStride;
  u32 bStride;
  u32 yStride;
  u32 width;
};
static_assert(sizeof(SwigluStep) == 48, "SwigluStep");
static_assert(__builtin_offsetof(SwigluStep, kind) == 0, "SwigluStep.kind");
static_assert(__builtin_offsetof(SwigluStep, rows) == 4, "SwigluStep.rows");
static_assert(__builtin_offsetof(SwigluStep, a) == 8, "SwigluStep.a");
static_assert(__builtin_offsetof(SwigluStep, b) == 16, "SwigluStep.b");
static_assert(__builtin_offsetof(SwigluStep, y) == 24, "SwigluStep.y");
static_assert(__builtin_offsetof(SwigluStep, aStride) == 32, "SwigluStep.aStride");
static_assert(__builtin_offsetof(SwigluStep, bStride) == 36, "SwigluStep.bStride");
static_assert(__builtin_offsetof(SwigluStep, yStride) == 40, "SwigluStep.yStride");
static_assert(__builtin_offsetof(SwigluStep, width) == 44, "SwigluStep.width");

struct CopyStep {
  u32 kind;
  u32 rows;
  u64 from;
  u64 to;
  u64 bytes;
};
static_assert(sizeof(CopyStep) == 32, "CopyStep");
static_assert(__builtin_offsetof(CopyStep, kind) == 0, "CopyStep.kind");
static_assert(__builtin_offsetof(CopyStep, rows) == 4, "CopyStep.rows");
static_assert(__builtin_offsetof(CopyStep, from) == 8, "CopyStep.from");
static_assert(__builtin_offsetof(CopyStep, to) == 16, "CopyStep.to");
static_assert(__builtin_offsetof(CopyStep, bytes) == 24, "CopyStep.bytes");

struct SampleStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 powers;
  u64 draws;
  u64 chosen;
  u32 xStride;
  u32 width;
};
static_assert(sizeof(SampleStep) == 48, "SampleStep");
static_assert(__builtin_offsetof(SampleStep, kind) == 0, "SampleStep.kind");
static_assert(__builtin_offsetof(SampleStep, rows) == 4, "SampleStep.rows");
static_assert(__builtin_offsetof(SampleStep, x) == 8, "SampleStep.x");
static_assert(__builtin_offsetof(SampleStep, powers) == 16, "SampleStep.powers");
static_assert(__builtin_offsetof(SampleStep, draws) == 24, "SampleStep.draws");
static_assert(__builtin_offsetof(SampleStep, chosen) == 32, "SampleStep.chosen");
static_assert(__builtin_offsetof(SampleStep, xStride) == 40, "SampleStep.xStride");
static_assert(__builtin_offsetof(SampleStep, width) == 44, "SampleStep.width");

struct RepackStep {
  u32 kind;
  u32 rows;
  u64 from;
  u64 to;
  u32 format;
  u32 columns;
  u32 firstRow;
  u32 file;
};
static_assert(sizeof(RepackStep) == 40, "RepackStep");
static_assert(__builtin_offsetof(RepackStep, kind) == 0, "RepackStep.kind");
static_assert(__builtin_offsetof(RepackStep, rows) == 4, "RepackStep.rows");
static_assert(__builtin_offsetof(RepackStep, from) == 8, "RepackStep.from");
static_assert(__builtin_offsetof(RepackStep, to) == 16, "RepackStep.to");
static_assert(__builtin_offsetof(RepackStep, format) == 24, "RepackStep.format");
static_assert(__builtin_offsetof(RepackStep, columns) == 28, "RepackStep.columns");
static_assert(__builtin_offsetof(RepackStep, firstRow) == 32, "RepackStep.firstRow");
static_assert(__builtin_offsetof(RepackStep, file) == 36, "RepackStep.file");

struct ReadStep {
  u32 kind;
  u32 rows;
  u64 to;
  u64 bytes;
  u64 checksums;
  u32 file;
  u32 sum;
  u32 firstPage;
  u32 unused;
};
static_assert(sizeof(ReadStep) == 48, "ReadStep");
static_assert(__builtin_offsetof(ReadStep, kind) == 0, "ReadStep.kind");
static_assert(__builtin_offsetof(ReadStep, rows) == 4, "ReadStep.rows");
static_assert(__builtin_offsetof(ReadStep, to) == 8, "ReadStep.to");
static_assert(__builtin_offsetof(ReadStep, bytes) == 16, "ReadStep.bytes");
static_assert(__builtin_offsetof(ReadStep, checksums) == 24, "ReadStep.checksums");
static_assert(__builtin_offsetof(ReadStep, file) == 32, "ReadStep.file");
static_assert(__builtin_offsetof(ReadStep, sum) == 36, "ReadStep.sum");
static_assert(__builtin_offsetof(ReadStep, firstPage) == 40, "ReadStep.firstPage");
static_assert(__builtin_offsetof(ReadStep, unused) == 44, "ReadStep.unused");

enum StepKind : u32 { step_embedding = 0, step_gather = 1, step_norm = 2, step_convert = 3, step_linear = 4, step_rope = 5, step_cache = 6, step_attention = 7, step_combine = 8, step_add = 9, step_swiglu = 10, step_copy = 11, step_sample = 12, step_repack = 13, step_read = 14 };

constexpr u32 step_kinds = 15, step_bytes = 128, unrotated = 4294967295u;

constexpr u32 part_keys = 256, split_rows = 8;

static_assert(sizeof(EmbeddingStep) <= step_bytes, "embedding");

static_assert(sizeof(GatherStep) <= step_bytes, "gather");

static_assert(sizeof(NormStep) <= step_bytes, "norm");

static_assert(sizeof(ConvertStep) <= step_bytes, "convert");

static_assert(sizeof(LinearStep) <= step_bytes, "linear");

static_assert(sizeof(RopeStep) <= step_bytes, "rope");

static_assert(sizeof(CacheStep) <= step_bytes, "cache");

static_assert(sizeof(AttentionStep) <= step_bytes, "attention");

static_assert(sizeof(CombineStep) <= step_bytes, "combine");

static_assert(sizeof(AddStep) <= step_bytes, "add");

static_assert(sizeof(SwigluStep) <= step_bytes, "swiglu");

static_assert(sizeof(CopyStep) <= step_bytes, "copy");

static_assert(sizeof(SampleStep) <= step_bytes, "sample");

static_assert(sizeof(RepackStep) <= step_bytes, "repack");

static_assert(sizeof(ReadStep) <= step_bytes, "read");

enum FormatNumber : u32 { format_f32 = 0, format_f16 = 1, format_bf16 = 2, format_q8_0 = 3, format_q4_0 = 4, format_q4_1 = 5, format_q5_0 = 6, format_q5_1 = 7, format_q2_k = 8, format_q3_k = 9, format_q4_k = 10, format_q5_k = 11, format_q6_k = 12, format_q8_k = 13, format_iq4_nl = 14 };

/** What the library answers when it is asked of which declarations it was built. */
constexpr u32 structs_hash = 1720183587u;
