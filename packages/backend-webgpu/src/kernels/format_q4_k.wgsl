// A unit is a sub-block of 32 nibbles; eight of them share 4 words of factors.
struct Unit { q: vec4u, factors: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(wq[at], k_factors(block_words((at >> 3u) * 4u), u & 7u));
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(nibbles(w.q, s)) * w.factors.x - w.factors.y; }
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
