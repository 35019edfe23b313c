// A unit is a block: 32 nibbles, and scale and offset as two binary16 numbers.
struct Unit { at: u32, factors: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(at, half_pair(ws[at]));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let q = wq[w.at][j];
  return mat2x4f(
    vec4f(low_nibbles(q)) * w.factors.x + w.factors.y,
    vec4f(high_nibbles(q)) * w.factors.x + w.factors.y,
  );
}
