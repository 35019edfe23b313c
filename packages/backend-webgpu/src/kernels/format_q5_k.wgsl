// Q4_K with a plane of fifth bits.
struct Unit { q: vec4u, high: u32, factors: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(wq[at], ws[P.high + at], k_factors(block_words((at >> 3u) * 4u), u & 7u));
}
fn quad(w: Unit, s: u32) -> vec4f {
  return vec4f(nibbles(w.q, s) | (bits(w.high, s) << vec4u(4u))) * w.factors.x - w.factors.y;
}
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
