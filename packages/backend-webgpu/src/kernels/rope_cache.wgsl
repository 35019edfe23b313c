// Rotates queries and keys and appends keys and values to the blocks of their sequences, in one pass: an invocation per
// pair of elements. What pads a head to whole vectors stays zero. Numbers are narrowed by integers, to the nearest and
// ties to even.

@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
//#if CACHE_F32
@group(0) @binding(4) var<storage, read_write> keys: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> values: array<vec2f>;
//#else
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;
@group(0) @binding(5) var<storage, read_write> values: array<u32>;
//#endif
//#if ROPE
@group(0) @binding(7) var<storage, read> rotation: array<vec2f>;
//#endif
//#if ROPE_Q
@group(0) @binding(8) var<storage, read> q: array<f32>;
@group(0) @binding(9) var<storage, read_write> y: array<f32>;
//#endif

//#include "blocks"

//#if CACHE_F32
fn narrow(pair: vec2f) -> vec2f { return pair; }
//#endif
//#if CACHE_F16
fn to_half(value: f32) -> u32 {
  let word = bitcast<u32>(value);
  let magnitude = word & 0x7fffffffu;
  let normal = (magnitude + 0xfffu + ((magnitude >> 13u) & 1u) - 0x38000000u) >> 13u;
  let small = u32(round(abs(value) * 0x1p24f));
  let half = select(select(normal, small, magnitude < 0x38800000u), 0x7c00u, magnitude >= 0x477ff000u);
  return half | ((word >> 16u) & 0x8000u);
}
fn narrow(pair: vec2f) -> u32 { return to_half(pair.x) | (to_half(pair.y) << 16u); }
//#endif
//#if CACHE_BF16
fn narrow(pair: vec2f) -> u32 {
  let words = bitcast<vec2u>(pair);
  let rounded = (words + vec2u(0x7fffu) + ((words >> vec2u(16u)) & vec2u(1u))) >> vec2u(16u);
  return rounded.x | (rounded.y << 16u);
}
//#endif

//#if ROPE
fn turn(pair: vec2f, table: u32, n: u32, i: u32) -> vec2f {
  let angle = rotation[table + n * P.table_stride + i];
  return vec2f(pair.x * angle.x - pair.y * angle.y, pair.x * angle.y + pair.y * angle.x);
}
//#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let segment = step.segments[id.z];
  let pair = id.x;
  let row = id.y;
  if (segment.pool != P.pool || row >= segment.rows) {
    return;
  }
  let n = segment.first + row;
  let head = pair / P.head_pairs;
  let i = pair % P.head_pairs;
  if (pair < P.kv_heads * P.head_pairs) {
    let to = row_of(segment.table, head, segment.start + row) * P.padded_pairs + i;
    let source = P.k_offset + n * P.k_stride + 2u * pair;
    var key = vec2f(k[source], k[source + 1u]);
//#if ROPE_K
    key = turn(key, P.k_table, n, i);
//#endif
    keys[to] = narrow(key);
    let value = P.v_offset + n * P.v_stride + 2u * pair;
    values[to] = narrow(vec2f(v[value], v[value + 1u]));
  }
//#if ROPE_Q
  if (pair < P.query_pairs) {
    let source = P.q_offset + n * P.q_stride + 2u * pair;
    let turned = turn(vec2f(q[source], q[source + 1u]), P.q_table, n, i);
    let to = P.y_offset + n * P.y_stride + 2u * pair;
    y[to] = turned.x;
    y[to + 1u] = turned.y;
  }
//#endif
}
