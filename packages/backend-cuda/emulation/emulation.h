// What a .cu file needs to compile with g++: CUDA's built-in variables, vector types, barriers and shuffles, as calls into the
// emulation (emulation.cpp). Kernels are compiled with -fsanitize=kernel-address, whose instrumentation hands every load and
// store to the emulation first, so that it can tell where an access went wrong.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

struct emu_dim3 { unsigned x, y, z; };

struct emu_thread_state {
  emu_dim3 thread, block;
};

extern "C" {
extern emu_thread_state *emu_current;
extern emu_dim3 emu_block_dim, emu_grid_dim;
void emu_syncthreads();
/// Exchange among the lanes of a mask; kind: 0 by index, 1 xor, 2 down.
uint32_t emu_shuffle(uint32_t mask, uint32_t value, int kind, int argument);
void emu_syncwarp(uint32_t mask);
/// Memory of one shared array; all threads of a block that name it get the same.
void *emu_shared(const void *site, size_t bytes);
/// Sixteen bytes from every lane, as ldmatrix reads them: lane after lane, valid until the warp's next exchange. Lanes that
/// give no address give null.
const uint32_t *emu_gather(const void *own);
/// d = a b + c by the whole warp, fragments as mma.m16n8k16 has them; bf16 or f16 operands, sums truncated as tensor cores do.
void emu_mma(bool bf16, const uint32_t *a, const uint32_t *b, const float *c, float *d);
/// Sixteen bytes from global to shared memory, of which only the first `bytes` are read and the others zero; they
/// arrive when this thread waits for them, and nobody may read them before.
void emu_copy_async(void *to, const void *from, size_t bytes);
void emu_copy_commit();
/// Lets all but the last `pending` groups of copies arrive.
void emu_copy_wait(int pending);
}

#define threadIdx (emu_current->thread)
#define blockIdx (emu_current->block)
#define blockDim emu_block_dim
#define gridDim emu_grid_dim
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)

struct uint2 { uint32_t x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
static inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }

static inline float __uint_as_float(uint32_t bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline uint32_t __float_as_uint(float value) { uint32_t bits; memcpy(&bits, &value, 4); return bits; }
static inline uint32_t __umulhi(uint32_t a, uint32_t b) { return uint32_t((uint64_t(a) * b) >> 32); }
static inline uint64_t __umul64hi(uint64_t a, uint64_t b) { return uint64_t((unsigned __int128)(a) * b >> 64); }
template <class T> static inline T min(T a, T b) { return a < b ? a : b; }
template <class T> static inline T max(T a, T b) { return a > b ? a : b; }

static inline void __syncthreads() { emu_syncthreads(); }
static inline void __syncwarp(uint32_t mask = 0xffffffffu) { emu_syncwarp(mask); }
static inline float __shfl_xor_sync(uint32_t mask, float value, int lanes) {
  return __uint_as_float(emu_shuffle(mask, __float_as_uint(value), 1, lanes));
}
static inline uint32_t __shfl_xor_sync(uint32_t mask, uint32_t value, int lanes) { return emu_shuffle(mask, value, 1, lanes); }
static inline float __shfl_sync(uint32_t mask, float value, int lane) {
  return __uint_as_float(emu_shuffle(mask, __float_as_uint(value), 0, lane));
}
static inline uint32_t __shfl_sync(uint32_t mask, uint32_t value, int lane) { return emu_shuffle(mask, value, 0, lane); }
static inline uint32_t __shfl_up_sync(uint32_t mask, uint32_t value, int lanes) { return emu_shuffle(mask, value, 3, lanes); }
