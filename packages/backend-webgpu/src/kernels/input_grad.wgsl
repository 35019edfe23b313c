// y = cotangent W + residual: the gradient of a linear by its input, from W as it is stored, in register tiles for software
// adapters: an invocation computes eight columns, those of one `quads`, for four rows. Neighbouring invocations have
// neighbouring columns and the same rows of the cotangent, of which with subgroups each of four loads one, as in
// linear.wgsl. ADD: y has sums of rows of W before these.

@group(0) @binding(2) var<storage, read> cotangent: array<f32>;
@group(0) @binding(3) var<storage, read> wq: array<vec4u>;
@group(0) @binding(4) var<storage, read> ws: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
//#if RESIDUAL
@group(0) @binding(6) var<storage, read> residual: array<vec4f>;
//#endif

//#include "math"
//#include "planes"
//#include FORMAT
//#if SUBGROUPS
//#include "of_four"
//#endif

fn store(n: u32, column: u32, sum: vec4f) {
  if (4u * column >= P.width) {
    return;
  }
  var total = sum;
//#if RESIDUAL
  total += residual[n * P.residual_stride + column];
//#endif
//#if ADD
  total += y[n * P.y_stride + column];
//#endif
  y[n * P.y_stride + column] = total;
}

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
//#if SUBGROUPS
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
//#endif
) {
  let unit = min((group.x * 16u + lane) / 4u, P.units - 1u);
  let j = lane & 3u;
  let token = group.y * 4u;
//#if SUBGROUPS
  let own = min(token + (subgroup_lane & 3u), step.rows - 1u) * 4u * P.cotangent_stride + P.before;
//#endif
//#repeat T 4
//#if SUBGROUPS
//#else
  let dy_@T = min(token + @Tu, step.rows - 1u) * 4u * P.cotangent_stride + P.before;
//#endif
  var low_@T = vec4f(0.0);
  var high_@T = vec4f(0.0);
//#end
  for (var m = 0u; m < P.rows; m++) {
    let w = fetch(m, unit);
    var q = quads(w, j);
//#if SCALED
    q *= w.d;
//#endif
//#if SUBGROUPS
    let dy = of_four(cotangent[own + m]);
//#else
    let dy = vec4f(cotangent[dy_0 + m], cotangent[dy_1 + m], cotangent[dy_2 + m], cotangent[dy_3 + m]);
//#endif
//#repeat T 4
    low_@T = fma(vec4f(dy[@T]), q[0], low_@T);
    high_@T = fma(vec4f(dy[@T]), q[1], high_@T);
//#end
  }
  if ((group.x * 16u + lane) / 4u >= P.units) {
    return;
  }
//#repeat T 4
  if (token + @Tu < step.rows) {
    store(token + @Tu, unit * 8u + j, low_@T);
    store(token + @Tu, unit * 8u + j + 4u, high_@T);
  }
//#end
}
