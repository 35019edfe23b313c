// Puts a field of every block into its plane, or rows of floats to a pitch, with zeros behind: bytes move, none change. A
// thread per two bytes. On the way it looks for numbers that are NaN or infinite, which the host would take longer to find than
// to read the file, and leaves a note of the piece that has one.
#include "common.cuh"

KERNEL_FILE("repack")

struct Parameters {
  const uint16_t *from;
  uint16_t *to;
  uint32_t *note;
  /// All in units of two bytes.
  uint32_t from_pitch, offset, size, to_pitch;
  uint32_t blocks;
  /// Of a field's first words those with an index of this bit set (all, where it is 0) hold an exponent, all ones where it is none.
  uint32_t words, bit, exponent;
  /// Number of the piece, not 0.
  uint32_t piece;
};
#include "asserts/repack.cuh"

KERNEL(repack, Parameters, 256) {
  const uint64_t i = (uint64_t)blockIdx.x * 256 + threadIdx.x;
  const uint64_t block = i / P.to_pitch;
  const uint32_t at = uint32_t(i % P.to_pitch);
  if (block >= P.blocks) return;
  const uint16_t word = at < P.size ? P.from[block * P.from_pitch + P.offset + at] : uint16_t(0);
  P.to[i] = word;
  if (at < P.words && (at & P.bit) == P.bit && (word & P.exponent) == P.exponent) *P.note = P.piece;
}
