// Attention of many rows of one sequence: an invocation per row and head goes over all keys that its row sees, in blocks of
// four, with a running softmax. Neighbouring invocations have neighbouring rows and so the same keys. Scores are kept in base
// 2 and the running maximum is an integer, so that rescaling by a power of two is exact.

struct Parameters {
  segment: u32,
  /// Query heads that share a key.
  group: u32,
  d: u32,
  q_offset: u32,
  q_stride: u32,
  y_offset: u32,
  y_stride: u32,
  /// log2(e) / sqrt(d)
  scale: f32,
}

@group(0) @binding(0) var<uniform> P: Parameters;
//#include "step"
@group(0) @binding(2) var<storage, read> q: array<f32>;
//#include CACHE
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

//#include "math"

const lowest = -3.0e38;

fn q_at(base: u32, i: u32) -> f32 {
//#if PADDED
  return select(0.0, q[base + i], i < P.d);
//#else
  return q[base + i];
//#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) block: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = step.segments[P.segment];
  let head = block.y;
  let row = block.x * WORKGROUP + lane;
  let n = segment.first + min(row, segment.rows - 1u);
  let position = segment.start + row;
  let end = segment.start + min((block.x + 1u) * WORKGROUP, segment.rows);
  let base = (head / P.group) * segment.capacity;
  let from = P.q_offset + n * P.q_stride + head * P.d;
//#repeat I D4
  let q_@I = vec4f(q_at(from, @Iu * 4u), q_at(from, @Iu * 4u + 1u), q_at(from, @Iu * 4u + 2u), q_at(from, @Iu * 4u + 3u));
  var out_@I = vec4f(0.0);
//#end
  var most = lowest;
  var sum = 0.0;
  for (var t = 0u; t < end; t += 4u) {
//#repeat J 4
    let at_@J = (base + min(t + @Ju, end - 1u)) * D4;
    var score_@J = 0.0;
//#end
//#repeat I D4
//#repeat J 4
    score_@J += dot(q_@I, key_at(at_@J + @Iu));
//#end
//#end
//#repeat J 4
    score_@J = select(lowest, score_@J * P.scale, t + @Ju <= position && t + @Ju < end);
//#end
    let block_most = max(max(score_0, score_1), max(score_2, score_3));
    if (block_most > most) {
      let raised = ceil(block_most);
      let factor = power_of_two(most - raised);
      most = raised;
      sum *= factor;
//#repeat I D4
      out_@I *= factor;
//#end
    }
//#repeat J 4
    let p_@J = exp2_exact(score_@J - most);
    sum += p_@J;
//#end
//#repeat I D4
//#repeat J 4
    out_@I = fma(vec4f(p_@J), value_at(at_@J + @Iu), out_@I);
//#end
//#end
  }
  if (row < segment.rows) {
    let to = P.y_offset + n * P.y_stride + head * P.d;
//#repeat I D4
    {
      let result = out_@I / sum;
      for (var i = 0u; i < 4u; i++) {
//#if PADDED
        if (@Iu * 4u + i < P.d) {
          y[to + @Iu * 4u + i] = result[i];
        }
//#else
        y[to + @Iu * 4u + i] = result[i];
//#endif
      }
    }
//#end
  }
}
