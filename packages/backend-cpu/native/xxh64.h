// XXH64 with seed 0 (github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): finds damage, not forgery, at the speed
// of memory.
#pragma once
#include "types.h"

namespace xxh {

constexpr u64 p1 = 0x9E3779B185EBCA87ull, p2 = 0xC2B2AE3D27D4EB4Full, p3 = 0x165667B19E3779F9ull,
              p4 = 0x85EBCA77C2B2AE63ull, p5 = 0x27D4EB2F165667C5ull;

INLINE u64 rotated(u64 x, u32 bits) { return x << bits | x >> (64 - bits); }
INLINE u64 word(const u8* p) {
  u64 value;
  __builtin_memcpy(&value, p, 8);
  return value;
}
INLINE u64 round(u64 lane, u64 input) { return rotated(lane + input * p2, 31) * p1; }
INLINE u64 merged(u64 hash, u64 lane) { return (hash ^ round(0, lane)) * p1 + p4; }

}  // namespace xxh

static inline u64 xxh64(const u8* p, u64 bytes) {
  using namespace xxh;
  const u8* end = p + bytes;
  u64 hash = p5;
  if (bytes >= 32) {
    u64 a = p1 + p2, b = p2, c = 0, d = 0 - p1;
    for (; end - p >= 32; p += 32) {
      a = round(a, word(p)), b = round(b, word(p + 8)), c = round(c, word(p + 16)), d = round(d, word(p + 24));
    }
    hash = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18);
    hash = merged(merged(merged(merged(hash, a), b), c), d);
  }
  hash += bytes;
  for (; end - p >= 8; p += 8) hash = rotated(hash ^ round(0, word(p)), 27) * p1 + p4;
  if (end - p >= 4) {
    u32 low;
    __builtin_memcpy(&low, p, 4);
    hash = rotated(hash ^ low * p1, 23) * p2 + p3, p += 4;
  }
  for (; p < end; p++) hash = rotated(hash ^ *p * p5, 11) * p1;
  hash = (hash ^ hash >> 33) * p2;
  hash = (hash ^ hash >> 29) * p3;
  return hash ^ hash >> 32;
}
