// The kernels of one instruction set: this file is compiled for each of them, with its name as KERNELS.
#include "../structs.h"
#if defined(KERNELS_AVX512)
#include "../simd/avx512.h"
#elif defined(KERNELS_AVX2)
#include "../simd/avx2.h"
#elif defined(KERNELS_NEON)
#include "../simd/neon.h"
#elif defined(KERNELS_WASM)
#include "../simd/wasm.h"
#else
#include "../simd/plain.h"
#endif
#include "attention.h"
#include "cache.h"
#include "convert.h"
#include "elementwise.h"
#include "embedding.h"
#include "embedding_grad.h"
#include "gather.h"
#include "linear_f32.h"
#include "linear_int8.h"
#include "log_sum_exp.h"
#include "norm.h"
#include "norm_grad.h"
#include "optimizer.h"
#include "rope.h"
#include "sequence_attention.h"
#include "swiglu_grad.h"
#include "transpose.h"
#include "weight_grad.h"

#include "../read.h"
#include "../repack.h"
#include "../sample.h"

namespace KERNELS {

static void linear(const Context& c, const void* step) {
  const LinearStep& s = *(const LinearStep*)step;
  const bool int8 = s.converted;
  switch (s.format) {
    case format_f32: return linear_f32<F32>(s, c);
    case format_f16: return linear_f32<F16>(s, c);
    case format_bf16: return linear_f32<Bf16>(s, c);
#define QUANTIZED(number, Format) \
  case number: return int8 ? linear_int8<Format>(s, c) : linear_f32<Format>(s, c);
    QUANTIZED(format_q8_0, Q8_0)
    QUANTIZED(format_q4_0, Q4_0)
    QUANTIZED(format_q4_1, Q4_1)
    QUANTIZED(format_q5_0, Q5_0)
    QUANTIZED(format_q5_1, Q5_1)
    QUANTIZED(format_q2_k, Q2K)
    QUANTIZED(format_q3_k, Q3K)
    QUANTIZED(format_q4_k, Q4K)
    QUANTIZED(format_q5_k, Q5K)
    QUANTIZED(format_q6_k, Q6K)
    QUANTIZED(format_q8_k, Q8K)
    QUANTIZED(format_iq4_nl, Iq4Nl)
#undef QUANTIZED
  }
}

static void embedding(const Context& c, const void* step) {
  const EmbeddingStep& s = *(const EmbeddingStep*)step;
  switch (s.format) {
    case format_f32: return embed<F32>(c, s);
    case format_f16: return embed<F16>(c, s);
    case format_bf16: return embed<Bf16>(c, s);
    case format_q8_0: return embed<Q8_0>(c, s);
    case format_q4_0: return embed<Q4_0>(c, s);
    case format_q4_1: return embed<Q4_1>(c, s);
    case format_q5_0: return embed<Q5_0>(c, s);
    case format_q5_1: return embed<Q5_1>(c, s);
    case format_q2_k: return embed<Q2K>(c, s);
    case format_q3_k: return embed<Q3K>(c, s);
    case format_q4_k: return embed<Q4K>(c, s);
    case format_q5_k: return embed<Q5K>(c, s);
    case format_q6_k: return embed<Q6K>(c, s);
    case format_q8_k: return embed<Q8K>(c, s);
    case format_iq4_nl: return embed<Iq4Nl>(c, s);
  }
}

static void transpose(const Context& c, const void* step) {
  const TransposeStep& s = *(const TransposeStep*)step;
  switch (s.format) {
    case format_f32: return transpose_groups<F32>(c, s);
    case format_f16: return transpose_groups<F16>(c, s);
    case format_bf16: return transpose_groups<Bf16>(c, s);
    case format_q8_0: return transpose_groups<Q8_0>(c, s);
    case format_q4_0: return transpose_groups<Q4_0>(c, s);
    case format_q4_1: return transpose_groups<Q4_1>(c, s);
    case format_q5_0: return transpose_groups<Q5_0>(c, s);
    case format_q5_1: return transpose_groups<Q5_1>(c, s);
    case format_q2_k: return transpose_groups<Q2K>(c, s);
    case format_q3_k: return transpose_groups<Q3K>(c, s);
    case format_q4_k: return transpose_groups<Q4K>(c, s);
    case format_q5_k: return transpose_groups<Q5K>(c, s);
    case format_q6_k: return transpose_groups<Q6K>(c, s);
    case format_q8_k: return transpose_groups<Q8K>(c, s);
    case format_iq4_nl: return transpose_groups<Iq4Nl>(c, s);
  }
}

#define NAME_OF(x) #x
#define NAME(x) NAME_OF(x)

extern const Kernels kernels;
const Kernels kernels = {
    NAME(KERNELS),
    {embedding, gather, norm, convert, linear, rope, cache, attention, combine, add_rows, swiglu, copy, sample, repack,
     read_pages, transpose, weight_grad, sequence_attention, attention_grad, norm_grad, norm_weight_grad, swiglu_grad,
     embedding_grad, log_sum_exp, softmax_grad, squares, sum_of_squares, adamw, scale, finite},
};

}  // namespace KERNELS
