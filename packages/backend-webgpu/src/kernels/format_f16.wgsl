// 32 values are 4 vectors of 8.
struct Unit { at: u32 }
fn fetch(row: u32, u: u32) -> Unit { return Unit((row * P.units + u) * 4u); }
fn quad(w: Unit, s: u32) -> vec4f {
  let words = wq[w.at + (s >> 1u)];
  let pair = select(words.xy, words.zw, (s & 1u) == 1u);
  return vec4f(half_pair(pair.x), half_pair(pair.y));
}
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
