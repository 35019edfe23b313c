// Sums of squares, or with PARTIALS of what such sums have left: each workgroup adds up what its invocations find, far
// apart, and gives one number.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  var sum = 0.0;
  for (var i = group.x * 256u + lane; i < P.words; i += groups.x * 256u) {
//#if PARTIALS
    sum += x[i];
//#else
//#if PADDED
    if (i % P.stride >= P.width) {
      continue;
    }
//#endif
    sum = fma(x[i], x[i], sum);
//#endif
  }
  partial[lane] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half >>= 1u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    y[P.first + group.x] = partial[0];
  }
}
