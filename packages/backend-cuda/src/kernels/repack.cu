// Puts a field of every block into its plane, or rows of floats to a pitch, with zeros behind: bytes move, none change. A
// thread per two bytes.
#include "common.cuh"

KERNEL_FILE("repack")

struct Parameters {
  const uint16_t *from;
  uint16_t *to;
  /// All in units of two bytes.
  uint32_t from_pitch, offset, size, to_pitch;
  uint32_t blocks;
};

KERNEL(repack, Parameters, 256) {
  const uint64_t i = (uint64_t)blockIdx.x * 256 + threadIdx.x;
  const uint64_t block = i / P.to_pitch;
  const uint32_t at = uint32_t(i % P.to_pitch);
  if (block >= P.blocks) return;
  P.to[i] = at < P.size ? P.from[block * P.from_pitch + P.offset + at] : uint16_t(0);
}
