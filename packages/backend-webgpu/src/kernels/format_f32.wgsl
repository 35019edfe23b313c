// 32 values are 8 vectors.
struct Unit { at: u32 }
fn fetch(row: u32, u: u32) -> Unit { return Unit((row * P.units + u) * 8u); }
fn quads(w: Unit, j: u32) -> mat2x4f {
  return mat2x4f(bitcast<vec4f>(wq[w.at + j]), bitcast<vec4f>(wq[w.at + 4u + j]));
}
