// A unit is a sub-block of 32 nibbles; eight of them share 4 words of factors.
//#include "k_factors"
struct Unit { at: u32, factors: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(at, k_factors((at >> 3u) * 4u, u & 7u));
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let q = wq[w.at][j];
  return mat2x4f(
    vec4f(low_nibbles(q)) * w.factors.x - w.factors.y,
    vec4f(high_nibbles(q)) * w.factors.x - w.factors.y,
  );
}
