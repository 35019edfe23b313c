// Scale and minimum of a sub-block of Q4_K and Q5_K, whose 6 bits lie as in the file: d and dmin, then 12 bytes.
fn k_factors(words: vec4u, j: u32) -> vec2f {
  let d = half_pair(words.x);
  let i = j & 3u;
  let a = byte_of(words.y, i);
  let b = byte_of(words.z, i);
  let c = byte_of(words.w, i);
  let early = vec2u(a & 63u, b & 63u);
  let late = vec2u((c & 15u) | ((a >> 6u) << 4u), (c >> 4u) | ((b >> 6u) << 4u));
  return d * vec2f(select(early, late, j > 3u));
}

fn block_words(at: u32) -> vec4u {
  return vec4u(ws[at], ws[at + 1u], ws[at + 2u], ws[at + 3u]);
}
