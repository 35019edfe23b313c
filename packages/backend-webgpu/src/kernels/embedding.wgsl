// y[n] = table[tokens[n]]: one invocation per 4 columns, dequantized exactly as the format says. Rows of the table
// outside this part of it are left to the others.

@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read> wq: array<vec4u>;
@group(0) @binding(4) var<storage, read> ws: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

//#include "math"
//#include "planes"
//#include FORMAT

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.y;
  let u = id.x;
  let token = tokens[n];
  if (u >= P.units || n >= step.rows || token < P.before || token - P.before >= P.rows) {
    return;
  }
  let w = fetch(token - P.before, u);
  for (var j = 0u; j < P.four; j++) {
    var values = quads(w, j);
//#if SCALED
    values *= w.d;
//#endif
    let to = P.y_offset + n * P.y_stride;
    for (var i = 0u; i < 4u; i++) {
      let column = u * 32u + j * 4u + i;
      if (column < P.width) {
        y[to + column] = values[0][i];
      }
      if (column + 16u < P.width) {
        y[to + column + 16u] = values[1][i];
      }
    }
  }
}
