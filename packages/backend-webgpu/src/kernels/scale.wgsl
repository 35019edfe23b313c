// y = factor x, whatever the shape: what lies between rows is scaled, too.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < P.words; i += groups.x * 256u) {
    y[i] = P.factor * x[i];
  }
}
