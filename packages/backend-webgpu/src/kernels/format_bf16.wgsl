// 32 values are 4 vectors of 8; each is the upper half of an f32.
struct Unit { at: u32 }
fn fetch(row: u32, u: u32) -> Unit { return Unit((row * P.units + u) * 4u); }
fn quads(w: Unit, j: u32) -> mat2x4f {
  let first = w.at + (j >> 1u);
  let c = (j & 1u) * 2u;
  let low = vec2u(wq[first][c], wq[first][c + 1u]);
  let high = vec2u(wq[first + 2u][c], wq[first + 2u][c + 1u]);
  return mat2x4f(
    bitcast<vec4f>(vec4u(low.x << 16u, low.x & 0xffff0000u, low.y << 16u, low.y & 0xffff0000u)),
    bitcast<vec4f>(vec4u(high.x << 16u, high.x & 0xffff0000u, high.y << 16u, high.y & 0xffff0000u)),
  );
}
