// What all kernels share. A kernel takes one struct, which the host declares too (the .ts file beside it) and fills;
// asserts/ holds what keeps both alike.
// Each compiles for the card and, under g++, for the emulation (emulation/), which is what the few macros are for.
#pragma once

#ifdef __CUDACC__
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef short int16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#define DEVICE __device__ __forceinline__
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
/// The name and the hash of the sources that an image was made of, to be found in it.
#define KERNEL_FILE(name) extern "C" __device__ const char polyllama_image[] = "polyllama-kernel:" name ":" POLYLLAMA_HASH ":";
/// Behind the parameters: threads of a block, and the blocks that a multiprocessor should have room for, which bounds registers.
#define KERNEL(name, Parameters, ...) \
  extern "C" __global__ void __launch_bounds__(__VA_ARGS__) name(const __grid_constant__ Parameters P)
#else
#include "emulation.h"
#define DEVICE static inline
#define SHARED(type, name, count) \
  static char name##_site;        \
  type *name = static_cast<type *>(emu_shared(&name##_site, sizeof(type) * (count)))
#define KERNEL_FILE(name)
#define KERNEL(name, Parameters, ...)                                                                          \
  static void name##_body(const Parameters &P);                                                                \
  extern "C" const unsigned name##_bytes = sizeof(Parameters);                                                 \
  extern "C" void name(const void *raw) { name##_body(*static_cast<const Parameters *>(raw)); }                \
  static void name##_body(const Parameters &P)
#endif

/// Positions of a KV block.
constexpr uint32_t kv_block_rows = 32;

/// A row of a step, and where its sequence's keys and values lie. It stands in device memory, so that one graph of launches serves every
/// token.
struct Row {
  /// KV blocks of a pool; null where the graph has no attention. A block has keys [G, kv_block_rows, d] of the first attention, then values
  /// alike, then those of the others.
  uint8_t *pool;
  /// The sequence's blocks, one for every kv_block_rows positions.
  const uint32_t *table;
  uint32_t block_bytes;
  /// Position within the sequence.
  uint32_t position;
  uint32_t token;
  /// Format of keys and values: 0 f32, 1 f16, 2 bf16.
  uint32_t format;
};
#include "asserts/row.cuh"

constexpr uint32_t allLanes = 0xffffffffu;

/// Whether two rows belong to one sequence.
DEVICE bool same_sequence(const Row &a, const Row &b) { return a.table == b.table && a.pool == b.pool; }

DEVICE float half_value(uint32_t bits) {
#ifdef __CUDACC__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"((uint16_t)bits));
  return value;
#else
  uint16_t half = uint16_t(bits);
  _Float16 value;
  memcpy(&value, &half, 2);
  return float(value);
#endif
}

DEVICE uint32_t half_bits(float value) {
#ifdef __CUDACC__
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  _Float16 half = _Float16(value);
  uint16_t bits;
  memcpy(&bits, &half, 2);
  return bits;
#endif
}

DEVICE float bfloat_value(uint32_t bits) { return __uint_as_float(bits << 16); }

/// Nearest, ties to even; keys and values are finite.
DEVICE uint32_t bfloat_bits(float value) {
  const uint32_t bits = __float_as_uint(value);
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

DEVICE float dot4(float4 a, float4 b, float sum) {
  return fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum))));
}

DEVICE float warp_sum(float value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) value += __shfl_xor_sync(allLanes, value, lanes);
  return value;
}

DEVICE float warp_max(float value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) value = fmaxf(value, __shfl_xor_sync(allLanes, value, lanes));
  return value;
}

/// Four floats of a row of `width`, zeros behind its end; the row starts at a multiple of 16 bytes.
DEVICE float4 load4(const float *row, uint32_t k, uint32_t width) {
  if (k + 4 <= width) return *reinterpret_cast<const float4 *>(row + k);
  return make_float4(k < width ? row[k] : 0.0f, k + 1 < width ? row[k + 1] : 0.0f, k + 2 < width ? row[k + 2] : 0.0f, 0.0f);
}

DEVICE float silu(float z) { return z / (1.0f + expf(-z)); }
