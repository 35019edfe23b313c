// Scale and minimum of sub-block j of Q4_K and Q5_K, whose 6 bits lie as in the file: a word of d and dmin, then 12
// bytes.
fn k_factors(at: u32, j: u32) -> vec2f {
  let shift = (j & 3u) * 8u;
  let a = (ws[at + 1u] >> shift) & 255u;
  let b = (ws[at + 2u] >> shift) & 255u;
  let c = (ws[at + 3u] >> shift) & 255u;
  let early = vec2u(a & 63u, b & 63u);
  let late = vec2u((c & 15u) | ((a >> 6u) << 4u), (c >> 4u) | ((b >> 6u) << 4u));
  return half_pair(ws[at]) * vec2f(select(early, late, j > 3u));
}
