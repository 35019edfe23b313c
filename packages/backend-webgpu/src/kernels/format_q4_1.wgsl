// A unit is a block: 32 nibbles, and scale and offset as two binary16 numbers.
struct Unit { q: vec4u, factors: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(wq[at], half_pair(ws[at]));
}
fn quad(w: Unit, s: u32) -> vec4f { return fma(vec4f(nibbles(w.q, s)), vec4f(w.factors.x), vec4f(w.factors.y)); }
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
