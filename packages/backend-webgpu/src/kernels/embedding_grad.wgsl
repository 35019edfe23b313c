// The gradient of an embedding by its table: the first row with a token adds the cotangents of all rows with it to the
// token's row of the table, in their order. An invocation per row and column. Rows of the table outside this part of it
// are left to the others.

@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read> links: array<vec2u>;
@group(0) @binding(4) var<storage, read> cotangent: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  var n = id.y;
  let token = tokens[n];
  if (i >= P.width || links[n].x == 0u || token < P.before || token - P.before >= P.rows) {
    return;
  }
  let to = (token - P.before) * P.y_stride + i;
  var sum = y[to];
  while (n < step.rows) {
    sum += cotangent[n * P.cotangent_stride + i];
    n = links[n].y;
  }
  y[to] = sum;
}
