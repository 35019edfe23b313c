// Attention of many rows: an invocation per row and head goes over all keys that its row sees, in blocks of eight, with
// a running softmax and a running result in y. Neighbouring invocations have neighbouring rows of one sequence and so
// the same keys. Scores are kept in base 2 and the running maximum is an integer, so that rescaling by a power of two
// is exact. Loops over a head are not unrolled: software adapters take minutes to compile that.

@group(0) @binding(2) var<storage, read> q: array<f32>;
//#include CACHE
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

//#include "blocks"
//#include "math"

const lowest = -3.0e38;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) block: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = step.segments[block.z];
  let head = block.y;
  let row = block.x * WORKGROUP + lane;
  if (segment.pool != P.pool || row >= segment.rows) {
    return;
  }
  let n = segment.first + row;
  let position = segment.start + row;
  let end = segment.start + min((block.x + 1u) * WORKGROUP, segment.rows);
  let query = P.q_offset + n * P.q_stride + head * P.d;
  let to = P.y_offset + n * P.y_stride + head * P.d;
  var most = lowest;
  var sum = 0.0;
  for (var t = 0u; t < end; t += 8u) {
    let key_row = row_of(segment.table, head / P.group, t); // the eight are in one of the sequence's blocks
//#repeat J 8
    let at_@J = (key_row + min(@Ju, end - 1u - t)) * P.d4;
    var score_@J = 0.0;
//#end
    for (var i = 0u; i < P.d4; i++) {
//#if PADDED
      var part = vec4f(0.0);
      for (var c = 0u; c < 4u; c++) {
        if (i * 4u + c < P.d) {
          part[c] = q[query + i * 4u + c];
        }
      }
//#else
      let part = vec4f(q[query + i * 4u], q[query + i * 4u + 1u], q[query + i * 4u + 2u], q[query + i * 4u + 3u]);
//#endif
//#repeat J 8
      score_@J += dot(part, key_at(at_@J + i));
//#end
    }
    var block_most = most;
//#repeat J 8
    score_@J = select(lowest, score_@J * P.scale, t + @Ju <= position && t + @Ju < end);
    block_most = max(block_most, score_@J);
//#end
    let raised = select(most, ceil(block_most), block_most > most);
    let factor = power_of_two(most - raised);
    most = raised;
    sum *= factor;
//#repeat J 8
    let p_@J = exp2_exact(score_@J - most);
    sum += p_@J;
//#end
    let first = t == 0u;
    for (var i = 0u; i < P.d4; i++) {
      var result = vec4f(0.0);
//#repeat J 8
      result = fma(vec4f(p_@J), value_at(at_@J + i), result);
//#end
      for (var c = 0u; c < 4u; c++) {
//#if PADDED
        if (i * 4u + c >= P.d) {
          break;
        }
//#endif
        let place = to + i * 4u + c;
        y[place] = select(y[place] * factor, 0.0, first) + result[c];
      }
    }
  }
  for (var i = 0u; i < P.d; i++) {
    y[to + i] /= sum;
  }
}
