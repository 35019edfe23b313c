// A cache row is `D4` times two words of two binary16 numbers per head.
@group(0) @binding(3) var<storage, read> keys: array<vec2u>;
@group(0) @binding(4) var<storage, read> values: array<vec2u>;
fn key_at(i: u32) -> vec4f { return vec4f(half_pair(keys[i].x), half_pair(keys[i].y)); }
fn value_at(i: u32) -> vec4f { return vec4f(half_pair(values[i].x), half_pair(values[i].y)); }
