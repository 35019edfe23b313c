// A unit is two sub-blocks of 16: bit pairs, 4 bits of scale and of minimum each; d and dmin for eight units. A vector
// of bit pairs serves two units.
struct Unit { at: u32, scales: vec2f, minimums: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  let block = (at >> 3u) * 5u;
  let j = (u & 7u) * 2u;
  let d = half_pair(ws[block]);
  let pair = ws[block + 1u + (j >> 2u)] >> ((j & 3u) * 8u);
  return Unit(
    at,
    d.x * vec2f(f32(pair & 15u), f32((pair >> 8u) & 15u)),
    d.y * vec2f(f32((pair >> 4u) & 15u), f32((pair >> 12u) & 15u)),
  );
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let c = (w.at & 1u) * 2u;
  return mat2x4f(
    vec4f(bit_pairs(wq[w.at >> 1u][c], j)) * w.scales.x - w.minimums.x,
    vec4f(bit_pairs(wq[w.at >> 1u][c + 1u], j)) * w.scales.y - w.minimums.y,
  );
}
