// Quants lie in planes: 32 values as 4 words of nibbles, 2 words of bit pairs, 1 word of bits, or 8 words of bytes. For
// j from 0 to 3 each function gives values 4 j to 4 j + 3 of a unit, or those 16 further. pack.ts lays them out.

/// The low nibbles of word j are values 4 j and up, the high ones those 16 further.
fn low_nibbles(q: u32) -> vec4u {
  return (vec4u(q) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(15u);
}

fn high_nibbles(q: u32) -> vec4u {
  return (vec4u(q) >> vec4u(4u, 12u, 20u, 28u)) & vec4u(15u);
}

/// Nibbles in two's complement.
fn signed_low_nibbles(q: u32) -> vec4i {
  return vec4i(vec4u(q) << vec4u(28u, 20u, 12u, 4u)) >> vec4u(28u);
}

fn signed_high_nibbles(q: u32) -> vec4i {
  return vec4i(vec4u(q) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(28u);
}

/// Byte b of a word holds at bits 2 j the value 4 j + b; the second word those 16 further.
fn bit_pairs(q: u32, j: u32) -> vec4u {
  return (vec4u(q) >> (vec4u(0u, 8u, 16u, 24u) + 2u * j)) & vec4u(3u);
}

/// Byte b holds at bit j the value 4 j + b, and at bit j + 4 the one 16 further.
fn bits(q: u32, j: u32) -> vec4u {
  return (vec4u(q) >> (vec4u(0u, 8u, 16u, 24u) + j)) & vec4u(1u);
}

fn signed_bytes(q: u32) -> vec4i {
  return vec4i(vec4u(q) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
}

fn byte_of(word: u32, i: u32) -> u32 {
  return (word >> (i * 8u)) & 255u;
}

/// The i-th of binary16 scales that lie two to a word.
fn half_scale(i: u32) -> f32 {
  return half_value((ws[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu);
}
