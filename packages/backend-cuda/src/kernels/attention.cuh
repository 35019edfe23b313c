// What the attention kernels share: how keys and values are found in the blocks of a sequence, and read.
#pragma once
#include "common.cuh"

/// A head's keys in the blocks of a sequence: a line of `bytes` bytes per position; the values of a position lie `values` bytes behind its
/// keys. As d is even, what lies before a line in its block is a multiple of four elements, and where four divide d, so is where each
/// line begins.
struct CacheLines {
  /// The head's first line in block 0 of the pool.
  const uint8_t *keys;
  const uint32_t *table;
  uint32_t block_bytes, values, bytes, format;
};

/// `before` is the elements per position before the attention's keys.
DEVICE CacheLines cache_lines(const Row &row, uint32_t before, uint32_t kv_head, uint32_t kv_heads, uint32_t d) {
  const uint32_t size = row.format == 0 ? 4 : 2;
  const uint64_t element = ((uint64_t)before + (uint64_t)kv_head * d) * kv_block_rows;
  return {row.pool + element * size, row.table, row.block_bytes, kv_heads * d * kv_block_rows * size, d * size, row.format};
}

/// Keys of a position that the sequence has.
DEVICE const uint8_t *cache_line(const CacheLines &lines, uint32_t position) {
  return lines.keys + (uint64_t)lines.table[position / kv_block_rows] * lines.block_bytes + position % kv_block_rows * lines.bytes;
}

/// Keys of positions `begin` to `begin + 63`, which lie in two blocks; where the sequence ends before the second, that is the first again.
struct CacheTile {
  const uint8_t *first, *second;
  uint32_t bytes;
};

DEVICE CacheTile cache_tile(const CacheLines &lines, uint32_t begin, uint32_t length) {
  const uint8_t *first = cache_line(lines, begin);
  return {first, begin + kv_block_rows < length ? cache_line(lines, begin + kv_block_rows) : first, lines.bytes};
}

/// Line n of 64.
DEVICE const uint8_t *tile_line(const CacheTile &tile, uint32_t n) {
  return (n < kv_block_rows ? tile.first : tile.second) + n % kv_block_rows * tile.bytes;
}

/// Element k of a line of d; zero behind its end.
DEVICE float one(const uint8_t *line, uint32_t format, uint32_t k, uint32_t d) {
  if (k >= d) return 0.0f;
  if (format == 0) return *reinterpret_cast<const float *>(line + k * 4);
  const uint32_t bits = *reinterpret_cast<const uint16_t *>(line + k * 2);
  return format == 1 ? half_value(bits) : bfloat_value(bits);
}

DEVICE float4 four_values(float4 v, uint32_t) { return v; }
DEVICE float4 four_values(uint2 v, uint32_t format) {
  if (format == 1)
    return make_float4(half_value(v.x & 0xffffu), half_value(v.x >> 16), half_value(v.y & 0xffffu), half_value(v.y >> 16));
  return make_float4(__uint_as_float(v.x << 16), __uint_as_float(v.x & 0xffff0000u), __uint_as_float(v.y << 16),
                     __uint_as_float(v.y & 0xffff0000u));
}

/// Elements k to k + 3 of a line as they are stored, or zeros: float4 of f32, uint2 of the others. Where four divide d; `four_values` makes
/// numbers of them. Loads come first and together, and what depends on the format later, so that none waits for another.
template <class Bits> DEVICE Bits four_bits(const uint8_t *line, uint32_t k, bool present) {
  return present ? *reinterpret_cast<const Bits *>(line + k * (sizeof(Bits) / 4)) : Bits{};
}

/// Of the 16 lanes of either half.
DEVICE float half_warp_sum(float value) {
#pragma unroll
  for (int lanes = 8; lanes > 0; lanes >>= 1) value += __shfl_xor_sync(allLanes, value, lanes);
  return value;
}

DEVICE float half_warp_max(float value) {
#pragma unroll
  for (int lanes = 8; lanes > 0; lanes >>= 1) value = fmaxf(value, __shfl_xor_sync(allLanes, value, lanes));
  return value;
}
