// Quants lie in planes: 32 values as 4 words of nibbles, 2 words of bit pairs, 1 word of bits, or 8 words of bytes. Each
// function gives values 4 s to 4 s + 3 of a unit. pack.ts lays them out.

/// Nibbles: the low ones of word s are values 4 s and up, the high ones those 16 further.
fn nibbles(q: vec4u, s: u32) -> vec4u {
  return (vec4u(q[s & 3u]) >> (vec4u(0u, 8u, 16u, 24u) + (s >> 2u) * 4u)) & vec4u(15u);
}

/// Nibbles in two's complement.
fn signed_nibbles(q: vec4u, s: u32) -> vec4i {
  return vec4i(vec4u(q[s & 3u]) << (vec4u(28u, 20u, 12u, 4u) - (s >> 2u) * 4u)) >> vec4u(28u);
}

/// Bit pairs: byte b of word w holds at bits 2 i the value 16 w + 4 i + b.
fn bit_pairs(q: vec2u, s: u32) -> vec4u {
  return (vec4u(q[s >> 2u]) >> (vec4u(0u, 8u, 16u, 24u) + (s & 3u) * 2u)) & vec4u(3u);
}

/// Bits: byte b holds at bit i the value 4 i + b.
fn bits(q: u32, s: u32) -> vec4u {
  return (vec4u(q) >> (vec4u(0u, 8u, 16u, 24u) + s)) & vec4u(1u);
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
