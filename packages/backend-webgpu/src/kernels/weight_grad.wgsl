// y = cotangent^T x + residual, some rows of it: the gradient of a linear by its weight, a sum over the rows of a step in
// their order, in register tiles for software adapters: an invocation computes a vector of columns for eight rows.
// Neighbouring invocations have neighbouring columns and the same elements of the cotangent, of which with subgroups
// each of four loads two, as in linear.wgsl. Columns that pad the rows of a weight become zero.

@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> cotangent: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
//#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<vec4f>;
//#endif

//#if SUBGROUPS
//#include "of_four"
//#endif

fn store(row: u32, column: u32, sum: vec4f) {
  if (row >= P.rows || column >= P.y_stride) {
    return;
  }
  let to = row * P.y_stride + column;
  var total = sum;
//#if RESIDUAL
  total += residual[to];
//#endif
  y[to] = select(vec4f(0.0), total, 4u * column + vec4u(0u, 1u, 2u, 3u) < vec4u(P.width));
}

@compute @workgroup_size(16)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
//#if SUBGROUPS
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
//#endif
) {
  let column = group.x * 16u + lane;
  let row = group.y * 8u;
  let from_x = min(column, P.x_stride - 1u);
  let last = 4u * P.cotangent_stride - 1u;
//#if SUBGROUPS
  let own = P.first + row + (subgroup_lane & 3u);
  let low_at = min(own, last);
  let high_at = min(own + 4u, last);
//#else
//#repeat I 8
  let at_@I = min(P.first + row + @Iu, last);
//#end
//#endif
//#repeat I 4
  var low_@I = vec4f(0.0);
  var high_@I = vec4f(0.0);
//#end
  for (var n = 0u; n < step.rows; n++) {
    let value = x[n * P.x_stride + from_x];
    let source = n * 4u * P.cotangent_stride;
//#if SUBGROUPS
    let low = of_four(cotangent[source + low_at]);
    let high = of_four(cotangent[source + high_at]);
//#else
    let low = vec4f(
      cotangent[source + at_0],
      cotangent[source + at_1],
      cotangent[source + at_2],
      cotangent[source + at_3],
    );
    let high = vec4f(
      cotangent[source + at_4],
      cotangent[source + at_5],
      cotangent[source + at_6],
      cotangent[source + at_7],
    );
//#endif
//#repeat I 4
    low_@I = fma(vec4f(low[@I]), value, low_@I);
    high_@I = fma(vec4f(high[@I]), value, high_@I);
//#end
  }
//#repeat I 4
  store(row + @Iu, column, low_@I);
  store(row + 4u + @Iu, column, high_@I);
//#end
}
