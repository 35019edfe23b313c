// What sets of four lanes have in common.
#pragma once

namespace KERNELS {

INLINE i32 imax_of(I a) {
  i32 lanes[L];
  istore(lanes, a);
  for (u32 i = 1; i < L; i++) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
  return lanes[0];
}

/** The lowest bytes of 32 words. */
INLINE void store_bytes(i8* p, const I* x) {
  i32 words[32];
  for (u32 i = 0; i < 32 / L; i++) istore(words + L * i, x[i]);
  for (u32 i = 0; i < 32; i++) p[i] = (i8)words[i];
}
/** Sums of 16 bytes, and of the next 16. */
INLINE void sums_of_bytes(const i8* p, i32* sums) {
  for (u32 half = 0; half < 2; half++) {
    sums[half] = 0;
    for (u32 i = 0; i < 16; i++) sums[half] += p[16 * half + i];
  }
}

/** Rows, and slices of weights, whose products are summed at once. */
constexpr u32 tile_rows = 4, tile_slices = 1;
/** Rows that weights are unpacked for as they are read, at most. */
constexpr u32 most_few_rows = 4;

/** sums += products of quants (i, s) up to Most, i < COUNT, 4 rows x 4 columns each, and x [N][4 COUNT]. */
template <int Most, bool Signed, int COUNT, bool Ordered, u32 N, u32 S, class Quants>
INLINE void products(I (&sums)[N][S], const Quants& quants, const i8* const (&x)[N]) {
  for (u32 s = 0; s < S; s++) {
    B q[COUNT];
    for (int i = 0; i < COUNT; i++) q[i] = quants(i, s);
    for (u32 n = 0; n < N; n++) sums[n][s] = dots<Most, Signed, COUNT>(sums[n][s], q, x[n]);
  }
}

/** Where other sets force an order of computation (avx512.h). */
template <class Register> INLINE void here(Register&) {}

INLINE void prefetch_far(const void* p) { prefetch(p); }

}  // namespace KERNELS
