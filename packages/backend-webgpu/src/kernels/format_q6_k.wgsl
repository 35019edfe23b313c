// A unit is two sub-blocks of 16: nibbles, a plane of two high bits, a signed byte of scale each; d for eight units.
struct Unit { at: u32, scales: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  let block = (at >> 3u) * 5u;
  let sub = u & 7u;
  let pair = ws[block + 1u + (sub >> 1u)] >> ((sub & 1u) * 16u);
  return Unit(at, half_value(ws[block]) * vec2f(signed_bytes(pair).xy));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let q = wq[w.at][j];
  let high = P.high + w.at * 2u;
  return mat2x4f(
    (vec4f(low_nibbles(q) | (bit_pairs(ws[high], j) << vec4u(4u))) - 32.0) * w.scales.x,
    (vec4f(high_nibbles(q) | (bit_pairs(ws[high + 1u], j) << vec4u(4u))) - 32.0) * w.scales.y,
  );
}
