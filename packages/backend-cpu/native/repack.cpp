#include "repack.h"

#include "platform.h"

namespace {

u32 word_at(const u8* p) {
  u32 word;
  __builtin_memcpy(&word, p, 4);
  return word;
}
u16 half_at(const u8* p) {
  u16 half;
  __builtin_memcpy(&half, p, 2);
  return half;
}
void put_word(u8* p, u32 word) { __builtin_memcpy(p, &word, 4); }
void put_half(u8* p, u16 half) { __builtin_memcpy(p, &half, 2); }

constexpr u32 group_rows = 16;

/** Eight words: 32 quants of a row in the order of columns, a byte each. */
struct Quants {
  u32 w[8];
};

void put_nibbles(u8* to, u32 r, const Quants& q) {
  for (u32 i = 0; i < 4; i++) put_word(to + 64 * i + 4 * r, (q.w[i] & 0x0f0f0f0f) | (q.w[i + 4] & 0x0f0f0f0f) << 4);
}
/** Bits `at` and `at` + 1. */
void put_two_bits(u8* to, u32 r, const Quants& q, u32 at) {
  for (u32 h = 0; h < 2; h++) {
    u32 word = 0;
    for (u32 t = 0; t < 4; t++) word |= (q.w[4 * h + t] >> at & 0x03030303) << (2 * t);
    put_word(to + 64 * h + 4 * r, word);
  }
}
void put_one_bit(u8* to, u32 r, const Quants& q, u32 at) {
  u32 word = 0;
  for (u32 i = 0; i < 8; i++) word |= (q.w[i] >> at & 0x01010101) << i;
  put_word(to + 4 * r, word);
}
void put_bytes(u8* to, u32 r, const u8* q) {
  for (u32 i = 0; i < 8; i++) put_word(to + 64 * i + 4 * r, word_at(q + 4 * i));
}

/** Nibbles of blocks of 32: low ones are columns 0 to 15. */
Quants nibbles_of_32(const u8* p) {
  Quants q;
  for (u32 i = 0; i < 4; i++) {
    q.w[i] = word_at(p + 4 * i) & 0x0f0f0f0f;
    q.w[i + 4] = word_at(p + 4 * i) >> 4 & 0x0f0f0f0f;
  }
  return q;
}
/** Bit l of 32 as bit `at` of quant l. */
void add_bits(Quants& q, u32 bits, u32 at) {
  for (u32 i = 0; i < 8; i++) {
    const u32 four = bits >> (4 * i) & 15;
    // bit k of four to byte k
    q.w[i] |= ((four * 0x00204081u) & 0x01010101u) << at;
  }
}

bool is_finite(u16 f16) { return (f16 & 0x7c00) != 0x7c00; }

/** Writes factors of blocks, f16, and says whether they are finite. */
bool put_factors(u8* to, u32 r, const u8* from, u32 count) {
  bool finite = true;
  for (u32 i = 0; i < count; i++) {
    const u16 factor = half_at(from + 2 * i);
    finite = finite && is_finite(factor);
    put_half(to + 32 * i + 2 * r, factor);
  }
  return finite;
}

struct Q4_0 {
  static constexpr u32 columns = 32, stored = 18;
  static bool put(u8* to, u32 r, const u8* b) {
    put_nibbles(to + 32, r, nibbles_of_32(b + 2));
    return put_factors(to, r, b, 1);
  }
};
struct Q4_1 {
  static constexpr u32 columns = 32, stored = 20;
  static bool put(u8* to, u32 r, const u8* b) {
    put_nibbles(to + 64, r, nibbles_of_32(b + 4));
    return put_factors(to, r, b, 2);
  }
};
struct Q5_0 {
  static constexpr u32 columns = 32, stored = 22;
  static bool put(u8* to, u32 r, const u8* b) {
    Quants q = nibbles_of_32(b + 6);
    put_nibbles(to + 96, r, q);
    add_bits(q, word_at(b + 2), 4);
    put_one_bit(to + 32, r, q, 4);
    return put_factors(to, r, b, 1);
  }
};
struct Q5_1 {
  static constexpr u32 columns = 32, stored = 24;
  static bool put(u8* to, u32 r, const u8* b) {
    Quants q = nibbles_of_32(b + 8);
    put_nibbles(to + 128, r, q);
    add_bits(q, word_at(b + 4), 4);
    put_one_bit(to + 64, r, q, 4);
    return put_factors(to, r, b, 2);
  }
};
struct Q8_0 {
  static constexpr u32 columns = 32, stored = 34;
  static bool put(u8* to, u32 r, const u8* b) {
    put_bytes(to + 32, r, b + 2);
    return put_factors(to, r, b, 1);
  }
};

/** Twelve bytes: scales and minimums of six bits of eight sub-blocks. */
void put_six_bits(u8* to, u32 r, const u8* s) {
  u8 scale[8], minimum[8];
  for (u32 j = 0; j < 8; j++) {
    scale[j] = j < 4 ? s[j] & 63 : (u8)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
    minimum[j] = j < 4 ? s[j + 4] & 63 : (u8)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    to[16 * j + r] = (u8)((scale[j] & 15) | (minimum[j] & 15) << 4);
  }
  for (u32 t = 0; t < 4; t++) {
    const u32 a = 2 * t, b = 2 * t + 1;
    to[128 + 16 * t + r] =
        (u8)(scale[a] >> 4 | minimum[a] >> 4 << 2 | scale[b] >> 4 << 4 | minimum[b] >> 4 << 6);
  }
}

/** Nibbles of sub-block j of 32: every 32 bytes hold two, the even one in the low nibbles. */
Quants nibbles_of_sub_block(const u8* p, u32 j) {
  Quants q;
  for (u32 i = 0; i < 8; i++) q.w[i] = word_at(p + 32 * (j >> 1) + 4 * i) >> (4 * (j & 1)) & 0x0f0f0f0f;
  return q;
}

struct Q4K {
  static constexpr u32 columns = 256, stored = 144;
  static bool put(u8* to, u32 r, const u8* b) {
    put_six_bits(to + 64, r, b + 4);
    for (u32 j = 0; j < 8; j++) put_nibbles(to + 256 + 256 * j, r, nibbles_of_sub_block(b + 16, j));
    return put_factors(to, r, b, 2);
  }
};
struct Q5K {
  static constexpr u32 columns = 256, stored = 176;
  static bool put(u8* to, u32 r, const u8* b) {
    put_six_bits(to + 64, r, b + 4);
    for (u32 j = 0; j < 8; j++) {
      Quants q = nibbles_of_sub_block(b + 48, j);
      put_nibbles(to + 256 + 320 * j + 64, r, q);
      for (u32 i = 0; i < 8; i++) q.w[i] |= (word_at(b + 16 + 4 * i) >> j & 0x01010101) << 4;
      put_one_bit(to + 256 + 320 * j, r, q, 4);
    }
    return put_factors(to, r, b, 2);
  }
};
struct Q6K {
  static constexpr u32 columns = 256, stored = 210;
  static bool put(u8* to, u32 r, const u8* b) {
    for (u32 t = 0; t < 16; t++) to[32 + 16 * t + r] = b[192 + t];
    for (u32 j = 0; j < 8; j++) {
      const u32 half = j >> 2, quarter = j & 3;
      Quants q;
      for (u32 i = 0; i < 8; i++) {
        const u32 low = word_at(b + 64 * half + 32 * (quarter & 1) + 4 * i) >> (4 * (quarter >> 1)) & 0x0f0f0f0f;
        q.w[i] = low | (word_at(b + 128 + 32 * half + 4 * i) >> (2 * quarter) & 0x03030303) << 4;
      }
      put_nibbles(to + 288 + 384 * j, r, q);
      put_two_bits(to + 288 + 384 * j + 256, r, q, 4);
    }
    return put_factors(to, r, b + 208, 1);
  }
};

/** Two bits of 32 columns, as q2_k and q3_k store them. */
Quants pairs_of_sub_block(const u8* p, u32 j) {
  Quants q;
  for (u32 i = 0; i < 8; i++) q.w[i] = word_at(p + 32 * (j >> 2) + 4 * i) >> (2 * (j & 3)) & 0x03030303;
  return q;
}

struct Q3K {
  static constexpr u32 columns = 256, stored = 110;
  static bool put(u8* to, u32 r, const u8* b) {
    const u8* s = b + 96;
    u8 scale[16];
    for (u32 t = 0; t < 16; t++) {
      scale[t] = (u8)((s[t & 7] >> (4 * (t >> 3)) & 15) | (s[8 + (t & 3)] >> (2 * (t >> 2)) & 3) << 4);
    }
    for (u32 t = 0; t < 8; t++) to[32 + 16 * t + r] = (u8)((scale[t] & 15) | (scale[t + 8] & 15) << 4);
    for (u32 u = 0; u < 4; u++) {
      u8 byte = 0;
      for (u32 k = 0; k < 4; k++) byte |= (u8)(scale[4 * u + k] >> 4 << (2 * k));
      to[160 + 16 * u + r] = byte;
    }
    for (u32 j = 0; j < 8; j++) {
      Quants q = pairs_of_sub_block(b + 32, j);
      for (u32 i = 0; i < 8; i++) q.w[i] |= (word_at(b + 4 * i) >> j & 0x01010101) << 2;
      put_two_bits(to + 224 + 192 * j, r, q, 0);
      put_one_bit(to + 224 + 192 * j + 128, r, q, 2);
    }
    return put_factors(to, r, b + 108, 1);
  }
};
struct Q2K {
  static constexpr u32 columns = 256, stored = 84;
  static bool put(u8* to, u32 r, const u8* b) {
    for (u32 t = 0; t < 16; t++) to[64 + 16 * t + r] = b[t];
    for (u32 j = 0; j < 8; j++) put_two_bits(to + 320 + 128 * j, r, pairs_of_sub_block(b + 16, j), 0);
    return put_factors(to, r, b + 80, 2);
  }
};
struct Q8K {
  static constexpr u32 columns = 256, stored = 292;
  static bool put(u8* to, u32 r, const u8* b) {
    put_word(to + 4 * r, word_at(b));
    for (u32 j = 0; j < 8; j++) put_bytes(to + 64 + 512 * j, r, b + 4 + 32 * j);
    return (word_at(b) & 0x7f800000u) != 0x7f800000u;
  }
};

/** Bytes of 16 blocks in a group; q8_k leaves its sums out. */
template <class Format> constexpr u32 group_bytes = 16 * Format::stored;
template <> constexpr u32 group_bytes<Q8K> = 16 * 260;

/** Of a file so much is read at once: it is still in a core's own cache when it is put in place. */
constexpr u64 read_bytes = 256 << 10;

/**
 * Takes groups of rows until none are left, and calls `put` with each: its stored bytes, its number and its rows. `put`
 * says whether all were finite.
 */
template <class Put> void each_group(const Context& c, const RepackStep& s, u64 row_bytes, Put put) {
  const u64 group_bytes = group_rows * row_bytes;
  const u32 groups = (s.rows + group_rows - 1) / group_rows;
  const u32 at_once = s.file == 0 ? 1 : most(1, (u32)(read_bytes / group_bytes));
  for (u32 unit; c.next((groups + at_once - 1) / at_once, unit);) {
    const u32 first = unit * at_once, end = least(groups, first + at_once);
    const u64 start = first * group_bytes, bytes = (least(s.rows, group_rows * end) - group_rows * first) * row_bytes;
    if (s.file != 0 && !platform_read(s.file - 1, c.scratch, bytes, s.from + start)) {
      __atomic_store_n(c.unread, 1, __ATOMIC_RELAXED);
      continue;
    }
    const u8* from = s.file != 0 ? c.scratch : (const u8*)c.resolve(s.from) + start;
    bool finite = true;
    for (u32 group = first; group < end; group++, from += group_bytes) {
      finite = put(from, group, least(group_rows, s.rows - group_rows * group)) && finite;
    }
    if (!finite) __atomic_store_n(c.not_finite, 1, __ATOMIC_RELAXED);
  }
}

template <class Format> void repack_blocks(const Context& c, const RepackStep& s) {
  const u32 blocks = s.columns / Format::columns;
  u8* to = (u8*)c.resolve(s.to);
  each_group(c, s, (u64)blocks * Format::stored, [&](const u8* from, u32 group, u32 count) {
    u8* target = to + (u64)(s.firstRow / group_rows + group) * blocks * group_bytes<Format>;
    if (count < group_rows) __builtin_memset(target, 0, (u64)blocks * group_bytes<Format>);
    bool finite = true;
    for (u32 b = 0; b < blocks; b++) {
      for (u32 r = 0; r < count; r++) {
        const u8* block = from + ((u64)r * blocks + b) * Format::stored;
        finite = Format::put(target + (u64)b * group_bytes<Format>, r, block) && finite;
      }
    }
    return finite;
  });
}

/** 16 bytes of floats. */
template <class Word> struct Lanes;
template <> struct Lanes<u16> {
  typedef u16 Vector __attribute__((vector_size(16)));
  static Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
  static Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
};
template <> struct Lanes<u32> {
  typedef u32 Vector __attribute__((vector_size(16)));
  static Vector low(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
  static Vector high(Vector a, Vector b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
};

/** Columns [first, end) of a whole group, some rows at a time. @returns whether all are finite */
template <class Word>
bool put_columns(const Word* from, u32 columns, u32 first, u32 end, Word* target, Word exponent) {
  typedef typename Lanes<Word>::Vector Vector;
  constexpr u32 lanes = sizeof(Vector) / sizeof(Word);
  Vector exponents, infinite = {};
  for (u32 i = 0; i < lanes; i++) exponents[i] = exponent;
  for (u32 row = 0; row < group_rows; row += lanes) {
    for (u32 k = first; k < end; k += lanes) {
      Vector lines[lanes], mixed[lanes];
      for (u32 i = 0; i < lanes; i++) {
        __builtin_memcpy(&lines[i], from + (u64)columns * (row + i) + k, sizeof(Vector));
        infinite |= (Vector)((lines[i] & exponents) == exponents);
      }
      // Each turn mixes lines that are half of them apart: after log2 of their number rows have become columns.
      for (u32 turn = 1; turn < lanes; turn *= 2) {
        for (u32 i = 0; i < lanes / 2; i++) {
          mixed[2 * i] = Lanes<Word>::low(lines[i], lines[i + lanes / 2]);
          mixed[2 * i + 1] = Lanes<Word>::high(lines[i], lines[i + lanes / 2]);
        }
        __builtin_memcpy(lines, mixed, sizeof(lines));
      }
      for (u32 i = 0; i < lanes; i++) {
        __builtin_memcpy(target + group_rows * (k + i) + row, &lines[i], sizeof(Vector));
      }
    }
  }
  Word any = 0;
  for (u32 i = 0; i < lanes; i++) any |= infinite[i];
  return any == 0;
}

template <class Word> void repack_floats(const Context& c, const RepackStep& s, Word exponent) {
  Word* to = (Word*)c.resolve(s.to);
  each_group(c, s, (u64)s.columns * sizeof(Word), [&](const u8* stored, u32 group, u32 count) {
    const Word* from = (const Word*)stored;
    Word* target = to + (u64)(s.firstRow / group_rows + group) * s.columns * group_rows;
    bool finite = true;
    // So many columns that their lines of some rows stay in the nearest cache.
    for (u32 first = 0; first < s.columns; first += 64) {
      const u32 end = least(s.columns, first + 64);
      if (count == group_rows && (end - first) % 8 == 0) {
        finite = put_columns(from, s.columns, first, end, target, exponent) && finite;
        continue;
      }
      for (u32 r = 0; r < group_rows; r++) {
        const Word* row = from + (u64)r * s.columns;
        for (u32 k = first; k < end; k++) {
          const Word value = r < count ? row[k] : 0;
          finite = finite && (value & exponent) != exponent;
          target[group_rows * k + r] = value;
        }
      }
    }
    return finite;
  });
}

}  // namespace

void repack(const Context& c, const void* step) {
  const RepackStep& s = *(const RepackStep*)step;
  switch (s.format) {
    case format_f32: return repack_floats<u32>(c, s, 0x7f800000u);
    case format_f16: return repack_floats<u16>(c, s, 0x7c00);
    case format_bf16: return repack_floats<u16>(c, s, 0x7f80);
    case format_q8_0: return repack_blocks<Q8_0>(c, s);
    case format_q4_0:
    case format_iq4_nl: return repack_blocks<Q4_0>(c, s);
    case format_q4_1: return repack_blocks<Q4_1>(c, s);
    case format_q5_0: return repack_blocks<Q5_0>(c, s);
    case format_q5_1: return repack_blocks<Q5_1>(c, s);
    case format_q2_k: return repack_blocks<Q2K>(c, s);
    case format_q3_k: return repack_blocks<Q3K>(c, s);
    case format_q4_k: return repack_blocks<Q4K>(c, s);
    case format_q5_k: return repack_blocks<Q5K>(c, s);
    case format_q6_k: return repack_blocks<Q6K>(c, s);
    case format_q8_k: return repack_blocks<Q8K>(c, s);
  }
}
