// A unit is two sub-blocks of 16: nibbles, a plane of two high bits, a signed byte of scale each; d for eight units.
struct Unit { q: vec4u, high: vec2u, scales: vec2f }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  let block = (at >> 3u) * 5u;
  let sub = u & 7u;
  let pair = signed_bytes(ws[block + 1u + (sub >> 1u)]);
  let both = select(pair.xy, pair.zw, (sub & 1u) == 1u);
  let high = P.high + at * 2u;
  return Unit(wq[at], vec2u(ws[high], ws[high + 1u]), half_value(ws[block]) * vec2f(both));
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(vec4i(nibbles(w.q, s) | (bit_pairs(w.high, s) << vec4u(4u))) - 32); }
fn scale(w: Unit, s: u32) -> f32 { return w.scales[s >> 2u]; }
