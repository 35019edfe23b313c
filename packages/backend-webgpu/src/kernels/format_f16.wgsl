// 32 values are 4 vectors of 8.
struct Unit { at: u32 }
fn fetch(row: u32, u: u32) -> Unit { return Unit((row * P.units + u) * 4u); }
fn quads(w: Unit, j: u32) -> mat2x4f {
  let first = w.at + (j >> 1u);
  let c = (j & 1u) * 2u;
  let low = vec2u(wq[first][c], wq[first][c + 1u]);
  let high = vec2u(wq[first + 2u][c], wq[first + 2u][c + 1u]);
  return mat2x4f(
    vec4f(half_pair(low.x), half_pair(low.y)),
    vec4f(half_pair(high.x), half_pair(high.y)),
  );
}
