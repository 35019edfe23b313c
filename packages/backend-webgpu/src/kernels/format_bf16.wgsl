// 32 values are 4 vectors of 8; each is the upper half of an f32.
struct Unit { at: u32 }
fn fetch(row: u32, u: u32) -> Unit { return Unit((row * P.units + u) * 4u); }
fn quad(w: Unit, s: u32) -> vec4f {
  let words = wq[w.at + (s >> 1u)];
  let pair = select(words.xy, words.zw, (s & 1u) == 1u);
  return bitcast<vec4f>(vec4u(pair.x << 16u, pair.x & 0xffff0000u, pair.y << 16u, pair.y & 0xffff0000u));
}
fn scale(w: Unit, s: u32) -> f32 { return 1.0; }
