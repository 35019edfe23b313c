// y = cotangent W + residual on GPUs: the gradient of a linear by its input, from W as it is stored. A workgroup of 256
// computes a tile of 64 columns for 64 rows, each invocation one vector of columns for four rows. Per step 32 rows of W
// are put into workgroup memory, dequantized, and as many columns of the cotangent. ADD: y has sums of rows before these.

@group(0) @binding(2) var<storage, read> cotangent: array<vec4f>;
@group(0) @binding(3) var<storage, read> wq: array<vec4u>;
@group(0) @binding(4) var<storage, read> ws: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
//#if RESIDUAL
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
//#endif

//#include "math"
//#include "planes"
//#include FORMAT

var<workgroup> w_tile: array<vec4f, 512>; // [32 rows of W][16 vectors of columns]
var<workgroup> dy_tile: array<vec4f, 512>; // [8 vectors of rows of W][64 rows]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let token = group.y * 64u;
  let load_n = min(token + (lane >> 2u), step.rows - 1u) * P.cotangent_stride + P.before / 4u;
  let vector = lane & 3u;
  let load_row = lane >> 3u;
  let part = (lane >> 2u) & 1u;
  let unit = min(group.x * 2u + part, P.units - 1u);
  let r = lane & 15u;
  let t = lane >> 4u;
//#repeat T 4
  var sum_@T = vec4f(0.0);
//#end
  for (var first = 0u; first < P.rows; first += 32u) {
    let w = fetch(min(first + load_row, P.rows - 1u), unit);
    var q = quads(w, lane & 3u);
//#if SCALED
    q *= w.d;
//#endif
    let at = first / 4u + vector;
    let m = 4u * at + vec4u(0u, 1u, 2u, 3u);
    let last = (P.rows - 1u) / 4u;
    workgroupBarrier();
    w_tile[load_row * 16u + part * 8u + (lane & 3u)] = q[0];
    w_tile[load_row * 16u + part * 8u + 4u + (lane & 3u)] = q[1];
    dy_tile[vector * 64u + (lane >> 2u)] = select(vec4f(0.0), cotangent[load_n + min(at, last)], m < vec4u(P.rows));
    dy_tile[(vector + 4u) * 64u + (lane >> 2u)] =
      select(vec4f(0.0), cotangent[load_n + min(at + 4u, last)], m + 16u < vec4u(P.rows));
    workgroupBarrier();
    for (var k = 0u; k < 2u * P.four; k++) {
//#repeat I 4
      let w_@I = w_tile[(4u * k + @Iu) * 16u + r];
//#end
//#repeat T 4
      let dy_@T = dy_tile[k * 64u + t + 16u * @Tu];
//#repeat I 4
      sum_@T = fma(vec4f(dy_@T[@I]), w_@I, sum_@T);
//#end
//#end
    }
  }
  let column = group.x * 16u + r;
  if (4u * column >= P.width) {
    return;
  }
//#repeat T 4
  if (token + t + 16u * @Tu < step.rows) {
    let n = token + t + 16u * @Tu;
    let to = n * P.y_stride + column;
//#if RESIDUAL
    sum_@T += residual[n * P.residual_stride + column];
//#endif
//#if ADD
    sum_@T += y[to];
//#endif
    y[to] = sum_@T;
  }
//#end
}
