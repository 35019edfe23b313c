// A unit is two sub-blocks of 16: bit pairs, a plane of third bits, 6 bits of scale each, as the file has them; d for eight
// units. A vector of bit pairs serves two units.
struct Unit { q: vec2u, high: u32, scales: vec2f }
fn q3_scale(block: u32, j: u32) -> i32 {
  let low = (byte_of(ws[block + 1u + ((j >> 2u) & 1u)], j & 3u) >> ((j >> 3u) * 4u)) & 15u;
  let high = (byte_of(ws[block + 3u], j & 3u) >> ((j >> 2u) * 2u)) & 3u;
  return i32(low | (high << 4u)) - 32;
}
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  let block = (at >> 3u) * 4u;
  let j = (u & 7u) * 2u;
  let words = wq[at >> 1u];
  let scales = vec2f(f32(q3_scale(block, j)), f32(q3_scale(block, j + 1u)));
  return Unit(select(words.xy, words.zw, (at & 1u) == 1u), ws[P.high + at], half_value(ws[block]) * scales);
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(vec4i(bit_pairs(w.q, s) | (bits(w.high, s) << vec4u(2u))) - 4); }
fn scale(w: Unit, s: u32) -> f32 { return w.scales[s >> 2u]; }
