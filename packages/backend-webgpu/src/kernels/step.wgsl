// What a run tells all of its dispatches: how many rows there are and where each sequence's rows belong.

struct Segment {
  /// The sequence's first row in this step, and how many it has.
  first: u32,
  rows: u32,
  /// Position in the cache of its first row.
  start: u32,
  capacity: u32,
}

struct Step {
  rows: u32,
  /// Rows that were picked for the end of the graph.
  selected: u32,
  /// Always 0, which compilers cannot know.
  zero: u32,
  spare: u32,
  segments: array<Segment, 64>,
}

@group(0) @binding(1) var<uniform> step: Step;
