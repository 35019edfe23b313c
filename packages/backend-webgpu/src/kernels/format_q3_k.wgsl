// A unit is two sub-blocks of 16: bit pairs, a plane of third bits, 6 bits of scale each, as the file has them; d for
// eight units. A vector of bit pairs serves two units.
struct Unit { at: u32, scales: vec2f }
fn q3_scale(block: u32, j: u32) -> f32 {
  let low = (byte_of(ws[block + 1u + ((j >> 2u) & 1u)], j & 3u) >> ((j >> 3u) * 4u)) & 15u;
  let high = (byte_of(ws[block + 3u], j & 3u) >> ((j >> 2u) * 2u)) & 3u;
  return f32(low | (high << 4u)) - 32.0;
}
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  let block = (at >> 3u) * 4u;
  let j = (u & 7u) * 2u;
  return Unit(at, half_value(ws[block]) * vec2f(q3_scale(block, j), q3_scale(block, j + 1u)));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let c = (w.at & 1u) * 2u;
  let third = ws[P.high + w.at];
  return mat2x4f(
    (vec4f(bit_pairs(wq[w.at >> 1u][c], j) | (bits(third, j) << vec4u(2u))) - 4.0) * w.scales.x,
    (vec4f(bit_pairs(wq[w.at >> 1u][c + 1u], j) | (bits(third, j + 4u) << vec4u(2u))) - 4.0) * w.scales.y,
  );
}
