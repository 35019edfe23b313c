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
  u32 backwards;
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
static_assert(__builtin_offsetof(RopeStep, backwards) == 44, "RopeStep.backwards");

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

struct TransposeStep {
  u32 kind;
  u32 rows;
  u64 weights;
  u64 y;
  u32 format;
  u32 firstRow;
  u32 matrixRows;
  u32 columns;
};
static_assert(sizeof(TransposeStep) == 40, "TransposeStep");
static_assert(__builtin_offsetof(TransposeStep, kind) == 0, "TransposeStep.kind");
static_assert(__builtin_offsetof(TransposeStep, rows) == 4, "TransposeStep.rows");
static_assert(__builtin_offsetof(TransposeStep, weights) == 8, "TransposeStep.weights");
static_assert(__builtin_offsetof(TransposeStep, y) == 16, "TransposeStep.y");
static_assert(__builtin_offsetof(TransposeStep, format) == 24, "TransposeStep.format");
static_assert(__builtin_offsetof(TransposeStep, firstRow) == 28, "TransposeStep.firstRow");
static_assert(__builtin_offsetof(TransposeStep, matrixRows) == 32, "TransposeStep.matrixRows");
static_assert(__builtin_offsetof(TransposeStep, columns) == 36, "TransposeStep.columns");

struct WeightGradStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 cotangent;
  u64 residual;
  u64 y;
  u32 xStride;
  u32 cotangentStride;
  u32 matrixRows;
  u32 columns;
};
static_assert(sizeof(WeightGradStep) == 56, "WeightGradStep");
static_assert(__builtin_offsetof(WeightGradStep, kind) == 0, "WeightGradStep.kind");
static_assert(__builtin_offsetof(WeightGradStep, rows) == 4, "WeightGradStep.rows");
static_assert(__builtin_offsetof(WeightGradStep, x) == 8, "WeightGradStep.x");
static_assert(__builtin_offsetof(WeightGradStep, cotangent) == 16, "WeightGradStep.cotangent");
static_assert(__builtin_offsetof(WeightGradStep, residual) == 24, "WeightGradStep.residual");
static_assert(__builtin_offsetof(WeightGradStep, y) == 32, "WeightGradStep.y");
static_assert(__builtin_offsetof(WeightGradStep, xStride) == 40, "WeightGradStep.xStride");
static_assert(__builtin_offsetof(WeightGradStep, cotangentStride) == 44, "WeightGradStep.cotangentStride");
static_assert(__builtin_offsetof(WeightGradStep, matrixRows) == 48, "WeightGradStep.matrixRows");
static_assert(__builtin_offsetof(WeightGradStep, columns) == 52, "WeightGradStep.columns");

struct SequenceAttentionStep {
  u32 kind;
  u32 rows;
  u64 q;
  u64 k;
  u64 v;
  u64 y;
  u64 logSumExp;
  u32 qStride;
  u32 kStride;
  u32 yStride;
  u32 logSumExpStride;
  u32 heads;
  u32 kvHeads;
  u32 headDim;
  u32 unused;
};
static_assert(sizeof(SequenceAttentionStep) == 80, "SequenceAttentionStep");
static_assert(__builtin_offsetof(SequenceAttentionStep, kind) == 0, "SequenceAttentionStep.kind");
static_assert(__builtin_offsetof(SequenceAttentionStep, rows) == 4, "SequenceAttentionStep.rows");
static_assert(__builtin_offsetof(SequenceAttentionStep, q) == 8, "SequenceAttentionStep.q");
static_assert(__builtin_offsetof(SequenceAttentionStep, k) == 16, "SequenceAttentionStep.k");
static_assert(__builtin_offsetof(SequenceAttentionStep, v) == 24, "SequenceAttentionStep.v");
static_assert(__builtin_offsetof(SequenceAttentionStep, y) == 32, "SequenceAttentionStep.y");
static_assert(__builtin_offsetof(SequenceAttentionStep, logSumExp) == 40, "SequenceAttentionStep.logSumExp");
static_assert(__builtin_offsetof(SequenceAttentionStep, qStride) == 48, "SequenceAttentionStep.qStride");
static_assert(__builtin_offsetof(SequenceAttentionStep, kStride) == 52, "SequenceAttentionStep.kStride");
static_assert(__builtin_offsetof(SequenceAttentionStep, yStride) == 56, "SequenceAttentionStep.yStride");
static_assert(__builtin_offsetof(SequenceAttentionStep, logSumExpStride) == 60, "SequenceAttentionStep.logSumExpStride");
static_assert(__builtin_offsetof(SequenceAttentionStep, heads) == 64, "SequenceAttentionStep.heads");
static_assert(__builtin_offsetof(SequenceAttentionStep, kvHeads) == 68, "SequenceAttentionStep.kvHeads");
static_assert(__builtin_offsetof(SequenceAttentionStep, headDim) == 72, "SequenceAttentionStep.headDim");
static_assert(__builtin_offsetof(SequenceAttentionStep, unused) == 76, "SequenceAttentionStep.unused");

struct AttentionGradStep {
  u32 kind;
  u32 rows;
  u64 q;
  u64 k;
  u64 v;
  u64 out;
  u64 logSumExp;
  u64 cotangent;
  u64 qGrad;
  u64 kGrad;
  u64 vGrad;
  u32 qStride;
  u32 kStride;
  u32 logSumExpStride;
  u32 heads;
  u32 kvHeads;
  u32 headDim;
};
static_assert(sizeof(AttentionGradStep) == 104, "AttentionGradStep");
static_assert(__builtin_offsetof(AttentionGradStep, kind) == 0, "AttentionGradStep.kind");
static_assert(__builtin_offsetof(AttentionGradStep, rows) == 4, "AttentionGradStep.rows");
static_assert(__builtin_offsetof(AttentionGradStep, q) == 8, "AttentionGradStep.q");
static_assert(__builtin_offsetof(AttentionGradStep, k) == 16, "AttentionGradStep.k");
static_assert(__builtin_offsetof(AttentionGradStep, v) == 24, "AttentionGradStep.v");
static_assert(__builtin_offsetof(AttentionGradStep, out) == 32, "AttentionGradStep.out");
static_assert(__builtin_offsetof(AttentionGradStep, logSumExp) == 40, "AttentionGradStep.logSumExp");
static_assert(__builtin_offsetof(AttentionGradStep, cotangent) == 48, "AttentionGradStep.cotangent");
static_assert(__builtin_offsetof(AttentionGradStep, qGrad) == 56, "AttentionGradStep.qGrad");
static_assert(__builtin_offsetof(AttentionGradStep, kGrad) == 64, "AttentionGradStep.kGrad");
static_assert(__builtin_offsetof(AttentionGradStep, vGrad) == 72, "AttentionGradStep.vGrad");
static_assert(__builtin_offsetof(AttentionGradStep, qStride) == 80, "AttentionGradStep.qStride");
static_assert(__builtin_offsetof(AttentionGradStep, kStride) == 84, "AttentionGradStep.kStride");
static_assert(__builtin_offsetof(AttentionGradStep, logSumExpStride) == 88, "AttentionGradStep.logSumExpStride");
static_assert(__builtin_offsetof(AttentionGradStep, heads) == 92, "AttentionGradStep.heads");
static_assert(__builtin_offsetof(AttentionGradStep, kvHeads) == 96, "AttentionGradStep.kvHeads");
static_assert(__builtin_offsetof(AttentionGradStep, headDim) == 100, "AttentionGradStep.headDim");

struct NormGradStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 cotangent;
  u64 weight;
  u64 residual;
  u64 y;
  u64 inverses;
  u32 xStride;
  u32 cotangentStride;
  u32 residualStride;
  u32 yStride;
  u32 width;
  float eps;
};
static_assert(sizeof(NormGradStep) == 80, "NormGradStep");
static_assert(__builtin_offsetof(NormGradStep, kind) == 0, "NormGradStep.kind");
static_assert(__builtin_offsetof(NormGradStep, rows) == 4, "NormGradStep.rows");
static_assert(__builtin_offsetof(NormGradStep, x) == 8, "NormGradStep.x");
static_assert(__builtin_offsetof(NormGradStep, cotangent) == 16, "NormGradStep.cotangent");
static_assert(__builtin_offsetof(NormGradStep, weight) == 24, "NormGradStep.weight");
static_assert(__builtin_offsetof(NormGradStep, residual) == 32, "NormGradStep.residual");
static_assert(__builtin_offsetof(NormGradStep, y) == 40, "NormGradStep.y");
static_assert(__builtin_offsetof(NormGradStep, inverses) == 48, "NormGradStep.inverses");
static_assert(__builtin_offsetof(NormGradStep, xStride) == 56, "NormGradStep.xStride");
static_assert(__builtin_offsetof(NormGradStep, cotangentStride) == 60, "NormGradStep.cotangentStride");
static_assert(__builtin_offsetof(NormGradStep, residualStride) == 64, "NormGradStep.residualStride");
static_assert(__builtin_offsetof(NormGradStep, yStride) == 68, "NormGradStep.yStride");
static_assert(__builtin_offsetof(NormGradStep, width) == 72, "NormGradStep.width");
static_assert(__builtin_offsetof(NormGradStep, eps) == 76, "NormGradStep.eps");

struct NormWeightGradStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 cotangent;
  u64 inverses;
  u64 residual;
  u64 y;
  u32 xStride;
  u32 cotangentStride;
  u32 width;
  u32 unused;
};
static_assert(sizeof(NormWeightGradStep) == 64, "NormWeightGradStep");
static_assert(__builtin_offsetof(NormWeightGradStep, kind) == 0, "NormWeightGradStep.kind");
static_assert(__builtin_offsetof(NormWeightGradStep, rows) == 4, "NormWeightGradStep.rows");
static_assert(__builtin_offsetof(NormWeightGradStep, x) == 8, "NormWeightGradStep.x");
static_assert(__builtin_offsetof(NormWeightGradStep, cotangent) == 16, "NormWeightGradStep.cotangent");
static_assert(__builtin_offsetof(NormWeightGradStep, inverses) == 24, "NormWeightGradStep.inverses");
static_assert(__builtin_offsetof(NormWeightGradStep, residual) == 32, "NormWeightGradStep.residual");
static_assert(__builtin_offsetof(NormWeightGradStep, y) == 40, "NormWeightGradStep.y");
static_assert(__builtin_offsetof(NormWeightGradStep, xStride) == 48, "NormWeightGradStep.xStride");
static_assert(__builtin_offsetof(NormWeightGradStep, cotangentStride) == 52, "NormWeightGradStep.cotangentStride");
static_assert(__builtin_offsetof(NormWeightGradStep, width) == 56, "NormWeightGradStep.width");
static_assert(__builtin_offsetof(NormWeightGradStep, unused) == 60, "NormWeightGradStep.unused");

struct SwigluGradStep {
  u32 kind;
  u32 rows;
  u64 gate;
  u64 up;
  u64 cotangent;
  u64 gateGrad;
  u64 upGrad;
  u32 gateStride;
  u32 upStride;
  u32 cotangentStride;
  u32 gateGradStride;
  u32 upGradStride;
  u32 width;
};
static_assert(sizeof(SwigluGradStep) == 72, "SwigluGradStep");
static_assert(__builtin_offsetof(SwigluGradStep, kind) == 0, "SwigluGradStep.kind");
static_assert(__builtin_offsetof(SwigluGradStep, rows) == 4, "SwigluGradStep.rows");
static_assert(__builtin_offsetof(SwigluGradStep, gate) == 8, "SwigluGradStep.gate");
static_assert(__builtin_offsetof(SwigluGradStep, up) == 16, "SwigluGradStep.up");
static_assert(__builtin_offsetof(SwigluGradStep, cotangent) == 24, "SwigluGradStep.cotangent");
static_assert(__builtin_offsetof(SwigluGradStep, gateGrad) == 32, "SwigluGradStep.gateGrad");
static_assert(__builtin_offsetof(SwigluGradStep, upGrad) == 40, "SwigluGradStep.upGrad");
static_assert(__builtin_offsetof(SwigluGradStep, gateStride) == 48, "SwigluGradStep.gateStride");
static_assert(__builtin_offsetof(SwigluGradStep, upStride) == 52, "SwigluGradStep.upStride");
static_assert(__builtin_offsetof(SwigluGradStep, cotangentStride) == 56, "SwigluGradStep.cotangentStride");
static_assert(__builtin_offsetof(SwigluGradStep, gateGradStride) == 60, "SwigluGradStep.gateGradStride");
static_assert(__builtin_offsetof(SwigluGradStep, upGradStride) == 64, "SwigluGradStep.upGradStride");
static_assert(__builtin_offsetof(SwigluGradStep, width) == 68, "SwigluGradStep.width");

struct EmbeddingGradStep {
  u32 kind;
  u32 rows;
  u64 cotangent;
  u64 residual;
  u64 y;
  u32 cotangentStride;
  u32 tableRows;
  u32 columns;
  u32 unused;
};
static_assert(sizeof(EmbeddingGradStep) == 48, "EmbeddingGradStep");
static_assert(__builtin_offsetof(EmbeddingGradStep, kind) == 0, "EmbeddingGradStep.kind");
static_assert(__builtin_offsetof(EmbeddingGradStep, rows) == 4, "EmbeddingGradStep.rows");
static_assert(__builtin_offsetof(EmbeddingGradStep, cotangent) == 8, "EmbeddingGradStep.cotangent");
static_assert(__builtin_offsetof(EmbeddingGradStep, residual) == 16, "EmbeddingGradStep.residual");
static_assert(__builtin_offsetof(EmbeddingGradStep, y) == 24, "EmbeddingGradStep.y");
static_assert(__builtin_offsetof(EmbeddingGradStep, cotangentStride) == 32, "EmbeddingGradStep.cotangentStride");
static_assert(__builtin_offsetof(EmbeddingGradStep, tableRows) == 36, "EmbeddingGradStep.tableRows");
static_assert(__builtin_offsetof(EmbeddingGradStep, columns) == 40, "EmbeddingGradStep.columns");
static_assert(__builtin_offsetof(EmbeddingGradStep, unused) == 44, "EmbeddingGradStep.unused");

struct LogSumExpStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 targets;
  u64 state;
  u64 y;
  u64 logSumExp;
  u32 xStride;
  u32 width;
  u32 first;
  u32 begins;
  u32 ends;
  float scale;
};
static_assert(sizeof(LogSumExpStep) == 72, "LogSumExpStep");
static_assert(__builtin_offsetof(LogSumExpStep, kind) == 0, "LogSumExpStep.kind");
static_assert(__builtin_offsetof(LogSumExpStep, rows) == 4, "LogSumExpStep.rows");
static_assert(__builtin_offsetof(LogSumExpStep, x) == 8, "LogSumExpStep.x");
static_assert(__builtin_offsetof(LogSumExpStep, targets) == 16, "LogSumExpStep.targets");
static_assert(__builtin_offsetof(LogSumExpStep, state) == 24, "LogSumExpStep.state");
static_assert(__builtin_offsetof(LogSumExpStep, y) == 32, "LogSumExpStep.y");
static_assert(__builtin_offsetof(LogSumExpStep, logSumExp) == 40, "LogSumExpStep.logSumExp");
static_assert(__builtin_offsetof(LogSumExpStep, xStride) == 48, "LogSumExpStep.xStride");
static_assert(__builtin_offsetof(LogSumExpStep, width) == 52, "LogSumExpStep.width");
static_assert(__builtin_offsetof(LogSumExpStep, first) == 56, "LogSumExpStep.first");
static_assert(__builtin_offsetof(LogSumExpStep, begins) == 60, "LogSumExpStep.begins");
static_assert(__builtin_offsetof(LogSumExpStep, ends) == 64, "LogSumExpStep.ends");
static_assert(__builtin_offsetof(LogSumExpStep, scale) == 68, "LogSumExpStep.scale");

struct SoftmaxGradStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 targets;
  u64 logSumExp;
  u64 cotangent;
  u32 xStride;
  u32 width;
  u32 first;
  float scale;
};
static_assert(sizeof(SoftmaxGradStep) == 56, "SoftmaxGradStep");
static_assert(__builtin_offsetof(SoftmaxGradStep, kind) == 0, "SoftmaxGradStep.kind");
static_assert(__builtin_offsetof(SoftmaxGradStep, rows) == 4, "SoftmaxGradStep.rows");
static_assert(__builtin_offsetof(SoftmaxGradStep, x) == 8, "SoftmaxGradStep.x");
static_assert(__builtin_offsetof(SoftmaxGradStep, targets) == 16, "SoftmaxGradStep.targets");
static_assert(__builtin_offsetof(SoftmaxGradStep, logSumExp) == 24, "SoftmaxGradStep.logSumExp");
static_assert(__builtin_offsetof(SoftmaxGradStep, cotangent) == 32, "SoftmaxGradStep.cotangent");
static_assert(__builtin_offsetof(SoftmaxGradStep, xStride) == 40, "SoftmaxGradStep.xStride");
static_assert(__builtin_offsetof(SoftmaxGradStep, width) == 44, "SoftmaxGradStep.width");
static_assert(__builtin_offsetof(SoftmaxGradStep, first) == 48, "SoftmaxGradStep.first");
static_assert(__builtin_offsetof(SoftmaxGradStep, scale) == 52, "SoftmaxGradStep.scale");

struct SquaresStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 sums;
  u64 width;
  u64 xStride;
};
static_assert(sizeof(SquaresStep) == 40, "SquaresStep");
static_assert(__builtin_offsetof(SquaresStep, kind) == 0, "SquaresStep.kind");
static_assert(__builtin_offsetof(SquaresStep, rows) == 4, "SquaresStep.rows");
static_assert(__builtin_offsetof(SquaresStep, x) == 8, "SquaresStep.x");
static_assert(__builtin_offsetof(SquaresStep, sums) == 16, "SquaresStep.sums");
static_assert(__builtin_offsetof(SquaresStep, width) == 24, "SquaresStep.width");
static_assert(__builtin_offsetof(SquaresStep, xStride) == 32, "SquaresStep.xStride");

struct SumOfSquaresStep {
  u32 kind;
  u32 rows;
  u64 sums;
  u64 y;
  u64 count;
};
static_assert(sizeof(SumOfSquaresStep) == 32, "SumOfSquaresStep");
static_assert(__builtin_offsetof(SumOfSquaresStep, kind) == 0, "SumOfSquaresStep.kind");
static_assert(__builtin_offsetof(SumOfSquaresStep, rows) == 4, "SumOfSquaresStep.rows");
static_assert(__builtin_offsetof(SumOfSquaresStep, sums) == 8, "SumOfSquaresStep.sums");
static_assert(__builtin_offsetof(SumOfSquaresStep, y) == 16, "SumOfSquaresStep.y");
static_assert(__builtin_offsetof(SumOfSquaresStep, count) == 24, "SumOfSquaresStep.count");

struct AdamwStep {
  u32 kind;
  u32 rows;
  u64 gradient;
  u64 squares;
  u64 settings;
  u64 weight;
  u64 firstMoment;
  u64 secondMoment;
  u64 newWeight;
  u64 newFirstMoment;
  u64 newSecondMoment;
  u64 words;
  float beta1;
  float beta2;
  float eps;
  float weightDecay;
  float maxNorm;
  float restOfBeta1;
  float restOfBeta2;
  u32 unused;
};
static_assert(sizeof(AdamwStep) == 120, "AdamwStep");
static_assert(__builtin_offsetof(AdamwStep, kind) == 0, "AdamwStep.kind");
static_assert(__builtin_offsetof(AdamwStep, rows) == 4, "AdamwStep.rows");
static_assert(__builtin_offsetof(AdamwStep, gradient) == 8, "AdamwStep.gradient");
static_assert(__builtin_offsetof(AdamwStep, squares) == 16, "AdamwStep.squares");
static_assert(__builtin_offsetof(AdamwStep, settings) == 24, "AdamwStep.settings");
static_assert(__builtin_offsetof(AdamwStep, weight) == 32, "AdamwStep.weight");
static_assert(__builtin_offsetof(AdamwStep, firstMoment) == 40, "AdamwStep.firstMoment");
static_assert(__builtin_offsetof(AdamwStep, secondMoment) == 48, "AdamwStep.secondMoment");
static_assert(__builtin_offsetof(AdamwStep, newWeight) == 56, "AdamwStep.newWeight");
static_assert(__builtin_offsetof(AdamwStep, newFirstMoment) == 64, "AdamwStep.newFirstMoment");
static_assert(__builtin_offsetof(AdamwStep, newSecondMoment) == 72, "AdamwStep.newSecondMoment");
static_assert(__builtin_offsetof(AdamwStep, words) == 80, "AdamwStep.words");
static_assert(__builtin_offsetof(AdamwStep, beta1) == 88, "AdamwStep.beta1");
static_assert(__builtin_offsetof(AdamwStep, beta2) == 92, "AdamwStep.beta2");
static_assert(__builtin_offsetof(AdamwStep, eps) == 96, "AdamwStep.eps");
static_assert(__builtin_offsetof(AdamwStep, weightDecay) == 100, "AdamwStep.weightDecay");
static_assert(__builtin_offsetof(AdamwStep, maxNorm) == 104, "AdamwStep.maxNorm");
static_assert(__builtin_offsetof(AdamwStep, restOfBeta1) == 108, "AdamwStep.restOfBeta1");
static_assert(__builtin_offsetof(AdamwStep, restOfBeta2) == 112, "AdamwStep.restOfBeta2");
static_assert(__builtin_offsetof(AdamwStep, unused) == 116, "AdamwStep.unused");

struct ScaleStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 y;
  u64 width;
  u64 xStride;
  float factor;
  u32 unused;
};
static_assert(sizeof(ScaleStep) == 48, "ScaleStep");
static_assert(__builtin_offsetof(ScaleStep, kind) == 0, "ScaleStep.kind");
static_assert(__builtin_offsetof(ScaleStep, rows) == 4, "ScaleStep.rows");
static_assert(__builtin_offsetof(ScaleStep, x) == 8, "ScaleStep.x");
static_assert(__builtin_offsetof(ScaleStep, y) == 16, "ScaleStep.y");
static_assert(__builtin_offsetof(ScaleStep, width) == 24, "ScaleStep.width");
static_assert(__builtin_offsetof(ScaleStep, xStride) == 32, "ScaleStep.xStride");
static_assert(__builtin_offsetof(ScaleStep, factor) == 40, "ScaleStep.factor");
static_assert(__builtin_offsetof(ScaleStep, unused) == 44, "ScaleStep.unused");

struct FiniteStep {
  u32 kind;
  u32 rows;
  u64 x;
  u64 width;
  u64 xStride;
};
static_assert(sizeof(FiniteStep) == 32, "FiniteStep");
static_assert(__builtin_offsetof(FiniteStep, kind) == 0, "FiniteStep.kind");
static_assert(__builtin_offsetof(FiniteStep, rows) == 4, "FiniteStep.rows");
static_assert(__builtin_offsetof(FiniteStep, x) == 8, "FiniteStep.x");
static_assert(__builtin_offsetof(FiniteStep, width) == 16, "FiniteStep.width");
static_assert(__builtin_offsetof(FiniteStep, xStride) == 24, "FiniteStep.xStride");

enum StepKind : u32 { step_embedding = 0, step_gather = 1, step_norm = 2, step_convert = 3, step_linear = 4, step_rope = 5, step_cache = 6, step_attention = 7, step_combine = 8, step_add = 9, step_swiglu = 10, step_copy = 11, step_sample = 12, step_repack = 13, step_read = 14, step_transpose = 15, step_weightGrad = 16, step_sequenceAttention = 17, step_attentionGrad = 18, step_normGrad = 19, step_normWeightGrad = 20, step_swigluGrad = 21, step_embeddingGrad = 22, step_logSumExp = 23, step_softmaxGrad = 24, step_squares = 25, step_sumOfSquares = 26, step_adamw = 27, step_scale = 28, step_finite = 29 };

constexpr u32 step_kinds = 30, step_bytes = 128, unrotated = 4294967295u;

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

static_assert(sizeof(TransposeStep) <= step_bytes, "transpose");

static_assert(sizeof(WeightGradStep) <= step_bytes, "weightGrad");

static_assert(sizeof(SequenceAttentionStep) <= step_bytes, "sequenceAttention");

static_assert(sizeof(AttentionGradStep) <= step_bytes, "attentionGrad");

static_assert(sizeof(NormGradStep) <= step_bytes, "normGrad");

static_assert(sizeof(NormWeightGradStep) <= step_bytes, "normWeightGrad");

static_assert(sizeof(SwigluGradStep) <= step_bytes, "swigluGrad");

static_assert(sizeof(EmbeddingGradStep) <= step_bytes, "embeddingGrad");

static_assert(sizeof(LogSumExpStep) <= step_bytes, "logSumExp");

static_assert(sizeof(SoftmaxGradStep) <= step_bytes, "softmaxGrad");

static_assert(sizeof(SquaresStep) <= step_bytes, "squares");

static_assert(sizeof(SumOfSquaresStep) <= step_bytes, "sumOfSquares");

static_assert(sizeof(AdamwStep) <= step_bytes, "adamw");

static_assert(sizeof(ScaleStep) <= step_bytes, "scale");

static_assert(sizeof(FiniteStep) <= step_bytes, "finite");

enum FormatNumber : u32 { format_f32 = 0, format_f16 = 1, format_bf16 = 2, format_q8_0 = 3, format_q4_0 = 4, format_q4_1 = 5, format_q5_0 = 6, format_q5_1 = 7, format_q2_k = 8, format_q3_k = 9, format_q4_k = 10, format_q5_k = 11, format_q6_k = 12, format_q8_k = 13, format_iq4_nl = 14 };

/** What the library answers when it is asked of which declarations it was built. */
constexpr u32 structs_hash = 2194528005u;
