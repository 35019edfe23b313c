// y = cotangent^T x + residual on GPUs, some rows of it: the gradient of a linear by its weight, a sum over the rows of a
// step in their order. A workgroup of 256 computes a tile of 64 rows and 64 columns, each invocation 4 by 4 of it; 32
// rows of the step at a time are in workgroup memory. Columns that pad the rows of a weight become zero.

@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> cotangent: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
//#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<vec4f>;
//#endif

var<workgroup> x_tile: array<vec4f, 512>; // [32 rows][16 vectors of columns]
var<workgroup> dy_tile: array<vec4f, 512>; // [32 rows][16 vectors of the weight's rows]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let load_n = lane >> 3u;
  let vector = lane & 7u;
  let r = lane & 15u;
  let t = lane >> 4u;
  let column = group.x * 16u + vector;
  let row = P.first / 4u + group.y * 16u + vector;
//#repeat I 4
  var sum_@I = vec4f(0.0);
//#end
  for (var first = 0u; first < step.rows; first += 32u) {
    let n = min(first + load_n, step.rows - 1u);
    let there = first + load_n < step.rows;
    let source = n * P.x_stride;
    let source_dy = n * P.cotangent_stride;
    workgroupBarrier();
    x_tile[load_n * 16u + vector] = select(vec4f(0.0), x[source + min(column, P.x_stride - 1u)], there);
    x_tile[load_n * 16u + vector + 8u] = select(vec4f(0.0), x[source + min(column + 8u, P.x_stride - 1u)], there);
    dy_tile[load_n * 16u + vector] =
      select(vec4f(0.0), cotangent[source_dy + min(row, P.cotangent_stride - 1u)], there);
    dy_tile[load_n * 16u + vector + 8u] =
      select(vec4f(0.0), cotangent[source_dy + min(row + 8u, P.cotangent_stride - 1u)], there);
    workgroupBarrier();
    for (var k = 0u; k < 8u * P.four; k++) {
      let value = x_tile[k * 16u + r];
      let dy = dy_tile[k * 16u + t];
//#repeat I 4
      sum_@I = fma(vec4f(dy[@I]), value, sum_@I);
//#end
    }
  }
  let at = group.x * 16u + r;
  if (at >= P.y_stride) {
    return;
  }
  let within = 4u * at + vec4u(0u, 1u, 2u, 3u) < vec4u(P.width);
//#repeat I 4
  if (group.y * 64u + 4u * t + @Iu < P.rows) {
    let to = (group.y * 64u + 4u * t + @Iu) * P.y_stride + at;
//#if RESIDUAL
    sum_@I += residual[to];
//#endif
    y[to] = select(vec4f(0.0), sum_@I, within);
  }
//#end
}
