// 32 values are 8 vectors.
struct Unit { at: u32 }
fn fetch(row: u32, u: u32) -> Unit { return Unit((row * P.units + u) * 8u); }
fn quad(w: Unit, s: u32) -> vec4f { return bitcast<vec4f>(wq[w.at + s]); }
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
