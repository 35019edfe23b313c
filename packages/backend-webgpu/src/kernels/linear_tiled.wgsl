// y = x W^T for many rows of x, on GPUs: a workgroup of 256 computes a tile of 64 outputs for 64 rows of x, each
// invocation 4 by 4 of it. Per step a unit of 32 inputs of both is put into workgroup memory, W dequantized; vectors of
// neighbouring rows lie side by side, so that a subgroup reads them without conflicts.

//#include "linear_common"

var<workgroup> w_tile: array<vec4f, 512>;
var<workgroup> x_tile: array<vec4f, 512>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = select(step.rows, step.selected, P.selected == 1u);
  let token = group.y * 64u;
  let row = group.x * 64u;
  let load_row = min(row + (lane >> 2u), P.rows - 1u);
  let load_x = P.x_offset + min(token + (lane >> 2u), count - 1u) * P.x_stride;
  let j = lane & 3u;
  let r = lane & 15u;
  let t = lane >> 4u;
//#repeat R 4
//#repeat T 4
  var sum_@R_@T = 0.0;
//#end
//#end
  for (var u = 0u; u < P.units; u++) {
    let w = fetch(load_row, u);
    var q = quads(w, j);
//#if SCALED
    q *= w.d;
//#endif
    let at = u * 8u + j;
    workgroupBarrier();
    w_tile[j * 64u + (lane >> 2u)] = q[0];
    w_tile[(j + 4u) * 64u + (lane >> 2u)] = q[1];
    x_tile[j * 64u + (lane >> 2u)] = x_at(load_x, at);
    x_tile[(j + 4u) * 64u + (lane >> 2u)] = x_at(load_x, at + 4u);
    workgroupBarrier();
    for (var k = 0u; k < 2u * P.four; k++) {
//#repeat R 4
      let w_@R = w_tile[k * 64u + r + 16u * @Ru];
//#end
//#repeat T 4
      let x_@T = x_tile[k * 64u + t + 16u * @Tu];
//#end
//#repeat R 4
//#repeat T 4
      sum_@R_@T += dot(w_@R, x_@T);
//#end
//#end
    }
  }
//#repeat T 4
  if (token + t + 16u * @Tu < count) {
//#repeat R 4
    if (row + r + 16u * @Ru < P.rows) {
      store(token + t + 16u * @Tu, row + r + 16u * @Ru, sum_@R_@T);
    }
//#end
  }
//#end
}
