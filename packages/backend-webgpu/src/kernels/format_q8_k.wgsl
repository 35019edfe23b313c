// A unit is 32 signed bytes; eight of them share an f32 scale.
struct Unit { at: u32, d: f32 }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(at * 2u, bitcast<f32>(ws[at >> 3u]));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  return mat2x4f(vec4f(signed_bytes(wq[w.at][j])), vec4f(signed_bytes(wq[w.at + 1u][j])));
}
