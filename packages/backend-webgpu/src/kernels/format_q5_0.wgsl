// A unit is a block: 32 nibbles, their fifth bits, and a binary16 scale.
struct Unit { q: vec4u, high: u32, d: f32 }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(wq[at], ws[P.high + at], half_scale(at));
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(vec4i(nibbles(w.q, s) | (bits(w.high, s) << vec4u(4u))) - 16); }
fn scale(w: Unit, s: u32) -> f32 { return w.d; }
