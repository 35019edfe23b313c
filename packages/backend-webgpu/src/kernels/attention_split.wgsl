// Attention of sequences that advance by one row each, first half: the keys of each are split among workgroups, SPLIT
// to each from position 0 on, so that a long past keeps the whole adapter busy. Each gives its maximum, its sum and its
// weighted values; attention_combine.wgsl puts them together. Maxima are integers in base 2, as in attention_rows.wgsl.

@group(0) @binding(2) var<storage, read> q: array<f32>;
//#include CACHE
/// For each sequence [heads][splits][D4 + 1]; the last vector is (maximum, sum).
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;

//#include "blocks"
//#include "math"

const lowest = -3.0e38;
const subsets = max(1u, 64u / D4);

var<workgroup> weights: array<f32, SPLIT>;
var<workgroup> shared_most: array<f32, 64>;
var<workgroup> sums: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) block: vec3u,
  @builtin(num_workgroups) blocks: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = step.segments[block.z];
  let head = block.x;
  let first = block.y * SPLIT;
  if (segment.pool != P.pool || first > segment.start) {
    return;
  }
  let count = min(SPLIT, segment.start + 1u - first);
  let kv_head = head / P.group;
  let source = P.q_offset + segment.first * P.q_stride + head * P.d;

  var most = lowest;
  for (var t = lane; t < count; t += 64u) {
    var score = 0.0;
    let at = row_of(segment.table, kv_head, first + t) * D4;
    for (var i = 0u; i < P.d4; i++) {
//#if PADDED
      var query = vec4f(0.0);
      for (var c = 0u; c < 4u; c++) {
        if (i * 4u + c < P.d) {
          query[c] = q[source + i * 4u + c];
        }
      }
//#else
      let at_q = source + i * 4u;
      let query = vec4f(q[at_q], q[at_q + 1u], q[at_q + 2u], q[at_q + 3u]);
//#endif
      score += dot(query, key_at(at + i));
    }
    score *= P.scale;
    weights[t] = score;
    most = max(most, score);
  }
  shared_most[lane] = most;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (lane < half) {
      shared_most[lane] = max(shared_most[lane], shared_most[lane + half]);
    }
    workgroupBarrier();
  }
  most = ceil(shared_most[0]);
  var sum = 0.0;
  for (var t = lane; t < count; t += 64u) {
    let p = exp2_exact(weights[t] - most);
    weights[t] = p;
    sum += p;
  }
  sums[lane] = vec4f(sum);
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  let total = sums[0].x;
  workgroupBarrier();

  let splits = segment.start / SPLIT + 1u;
  let record = (segment.partials * blocks.x + head * splits + block.y) * (D4 + 1u);
  let column = lane % D4;
  let subset = lane / D4;
  var out = vec4f(0.0);
  if (subset < subsets) {
    var t = subset;
    for (var begin = 0u; begin < count; begin += BLOCK) {
      let value_row = row_of(segment.table, kv_head, first + begin);
      let end = min(begin + BLOCK, count);
      for (; t < end; t += subsets) {
        out = fma(vec4f(weights[t]), value_at((value_row + t - begin) * D4 + column), out);
      }
    }
  }
  sums[lane] = out;
  workgroupBarrier();
  if (lane < min(D4, 64u)) {
    var value = vec4f(0.0);
    for (var i = 0u; i < subsets; i++) {
      value += sums[i * D4 + lane];
    }
    partials[record + lane] = value;
  }
//#if WIDE
  // Heads wider than 256: the columns behind the first 64 vectors.
  for (var c = 64u + lane; c < D4; c += 64u) {
    var value = vec4f(0.0);
    for (var t = 0u; t < count; t++) {
      value = fma(vec4f(weights[t]), value_at(row_of(segment.table, kv_head, first + t) * D4 + c), value);
    }
    partials[record + c] = value;
  }
//#endif
  if (lane == 0u) {
    partials[record + D4] = vec4f(most, total, 0.0, 0.0);
  }
}
