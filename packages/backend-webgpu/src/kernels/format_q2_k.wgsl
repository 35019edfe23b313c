// A unit is two sub-blocks of 16: bit pairs, 4 bits of scale and of minimum each; d and dmin for eight units. A vector of
// bit pairs serves two units.
struct Unit { q: vec2u, scales: vec2f, minimums: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  let block = (at >> 3u) * 5u;
  let j = (u & 7u) * 2u;
  let d = half_pair(ws[block]);
  let pair = ws[block + 1u + (j >> 2u)] >> ((j & 3u) * 8u);
  let words = wq[at >> 1u];
  return Unit(
    select(words.xy, words.zw, (at & 1u) == 1u),
    d.x * vec2f(f32(pair & 15u), f32((pair >> 8u) & 15u)),
    d.y * vec2f(f32((pair >> 4u) & 15u), f32((pair >> 12u) & 15u)),
  );
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(bit_pairs(w.q, s)) * w.scales[s >> 2u] - w.minimums[s >> 2u]; }
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
