// A cache row is `D4` vectors of f32 per head.
@group(0) @binding(3) var<storage, read> keys: array<vec4f>;
@group(0) @binding(4) var<storage, read> values: array<vec4f>;
fn key_at(i: u32) -> vec4f { return keys[i]; }
fn value_at(i: u32) -> vec4f { return values[i]; }
