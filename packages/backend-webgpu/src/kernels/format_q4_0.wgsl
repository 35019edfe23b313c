// A unit is a block: 32 nibbles, stored as q - 8 in two's complement, and a binary16 scale.
struct Unit { at: u32, d: f32 }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(at, half_scale(at));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let q = wq[w.at][j];
  return mat2x4f(vec4f(signed_low_nibbles(q)), vec4f(signed_high_nibbles(q)));
}
