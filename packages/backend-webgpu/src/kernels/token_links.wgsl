// For each row whether it is the first with its token, and the next row with the same one: sums over the rows of a token
// then go along these links, without atomics and always in the same order.

@group(0) @binding(2) var<storage, read> tokens: array<u32>;
/// (1 for the first row with its token, the next row or the number of rows)
@group(0) @binding(3) var<storage, read_write> links: array<vec2u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  if (n >= step.rows) {
    return;
  }
  let token = tokens[n];
  var before = 0u;
  while (before < n && tokens[before] != token) {
    before++;
  }
  var next = n + 1u;
  while (next < step.rows && tokens[next] != token) {
    next++;
  }
  links[n] = vec2u(select(0u, 1u, before == n), next);
}
