// A unit is a block: 32 nibbles that are places in a table of levels, and a binary16 scale.
struct Unit { at: u32, d: f32 }
const levels = array<f32, 16>(
  -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
);
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(at, half_scale(at));
}
fn level(q: vec4u) -> vec4f {
  var table = levels;
  return vec4f(table[q.x], table[q.y], table[q.z], table[q.w]);
}
fn quads(w: Unit, j: u32) -> mat2x4f {
  let q = wq[w.at][j];
  return mat2x4f(level(low_nibbles(q)), level(high_nibbles(q)));
}
