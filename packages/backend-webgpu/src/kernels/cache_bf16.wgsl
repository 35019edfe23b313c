// A cache row is `D4` times two words of two bfloat16 numbers per head.
@group(0) @binding(3) var<storage, read> keys: array<vec2u>;
@group(0) @binding(4) var<storage, read> values: array<vec2u>;
fn widen(w: vec2u) -> vec4f {
  return bitcast<vec4f>(vec4u(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u));
}
fn key_at(i: u32) -> vec4f { return widen(keys[i]); }
fn value_at(i: u32) -> vec4f { return widen(values[i]); }
