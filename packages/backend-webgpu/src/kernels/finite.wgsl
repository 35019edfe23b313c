// Whether numbers are all finite, by their bits: compilers may assume that they are. What is not sets a flag.

@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read_write> found: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var damaged = false;
  for (var i = id.x; i < P.words; i += groups.x * 256u) {
    damaged = damaged || (x[i] & 0x7f800000u) == 0x7f800000u;
  }
  if (damaged) {
    atomicStore(&found, 1u);
  }
}
