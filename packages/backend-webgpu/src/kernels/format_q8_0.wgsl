// A unit is a block: 32 signed bytes and a binary16 scale.
struct Unit { q0: vec4u, q1: vec4u, d: f32 }
fn fetch(row: u32, u: u32) -> Unit {
  let at = row * P.units + u;
  return Unit(wq[at * 2u], wq[at * 2u + 1u], half_scale(at));
}
fn quad(w: Unit, s: u32) -> vec4f { return vec4f(signed_bytes(select(w.q0[s & 3u], w.q1[s & 3u], s > 3u))); }
fn scale(w: Unit, s: u32) -> f32 { return w.d; }
