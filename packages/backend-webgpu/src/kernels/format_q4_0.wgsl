// A unit is a block: 32 nibbles, stored as q - 8 in two's complement, and a binary16 scale.
struct Unit { q: vec4u, d: f32 }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(wq[at], half_scale(at));
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(signed_nibbles(w.q, s)); }
fn scale(w: Unit, s: u32) -> f32 { return w.d; }
