// A unit is a block: 32 signed bytes and a binary16 scale.
struct Unit { at: u32, d: f32 }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(at * 2u, half_scale(at));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  return mat2x4f(vec4f(signed_bytes(wq[w.at][j])), vec4f(signed_bytes(wq[w.at + 1u][j])));
}
