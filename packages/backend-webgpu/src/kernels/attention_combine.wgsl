// Attention of sequences that advance by one row each, second half: the splits' sums, each rescaled exactly by a power
// of two, and the division.

@group(0) @binding(2) var<storage, read> partials: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

//#include "math"

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) block: vec3u,
  @builtin(num_workgroups) blocks: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = step.segments[block.z];
  let splits = segment.start / P.split + 1u;
  let head = block.x;
  let column = block.y * WORKGROUP + lane;
  if (segment.pool != P.pool || column >= D4) {
    return;
  }
  let base = (segment.partials * blocks.x + head * splits) * (D4 + 1u);
  var most = -3.0e38;
  for (var s = 0u; s < splits; s++) {
    most = max(most, partials[base + s * (D4 + 1u) + D4].x);
  }
  var sum = 0.0;
  var out = vec4f(0.0);
  for (var s = 0u; s < splits; s++) {
    let record = base + s * (D4 + 1u);
    let own = partials[record + D4];
    let factor = power_of_two(own.x - most);
    sum = fma(own.y, factor, sum);
    out = fma(partials[record + column], vec4f(factor), out);
  }
  let result = out / sum;
  let to = P.y_offset + segment.first * P.y_stride + head * P.d + column * 4u;
  for (var i = 0u; i < 4u; i++) {
    if (column * 4u + i < P.d) {
      y[to + i] = result[i];
    }
  }
}
