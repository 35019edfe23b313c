// Names of plain types, and what compilers call differently. There is no C++ library beneath this code.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

static_assert(sizeof(u32) == 4 && sizeof(u64) == 8 && sizeof(float) == 4, "types have the sizes of their names");

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))

static constexpr u32 least(u32 a, u32 b) { return a < b ? a : b; }
static constexpr u32 most(u32 a, u32 b) { return a > b ? a : b; }

/** The bits of a number, and the number of bits. */
static inline u32 bits_of(float x) {
  u32 bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}
static inline float float_of(u32 bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}
