// Matrix instructions of tensor cores and what feeds them, for cards of compute capability 8.0 on: one function each, which is one
// instruction of PTX on a card and a call into the emulation elsewhere. All 32 lanes of a warp call them together.
#pragma once
#include "common.cuh"

/// A 16 by 16 matrix of a warp, in pairs of 16-bit values: lane l has rows l / 4 (words 0 and 2) and l / 4 + 8 (1 and 3), columns 2 (l % 4)
/// and the next, in words 2 and 3 eight columns further.
struct FragmentA { uint32_t v[4]; };
/// 16 by 8: column l / 4, rows 2 (l % 4) and the next, in word 1 eight rows further.
struct FragmentB { uint32_t v[2]; };
/// 16 by 8 sums: columns 2 (l % 4) and the next, of row l / 4 (0 and 1) and of row l / 4 + 8 (2 and 3).
struct FragmentC { float v[4]; };

/// Two values as f16, rounded to nearest.
DEVICE uint32_t half_pair(float low, float high) {
#ifdef __CUDACC__
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return half_bits(low) | half_bits(high) << 16;
#endif
}

#ifdef __CUDACC__
DEVICE uint32_t shared_address(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }
#endif

/// c += a b, values f16.
DEVICE void mma_f16(FragmentC &c, const FragmentA &a, const FragmentB &b) {
#ifdef __CUDACC__
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.v[0]), "+f"(c.v[1]), "+f"(c.v[2]), "+f"(c.v[3])
      : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]), "r"(b.v[1]));
#else
  emu_mma(false, a.v, b.v, c.v, c.v);
#endif
}

/// c += a b, values bf16.
DEVICE void mma_bf16(FragmentC &c, const FragmentA &a, const FragmentB &b) {
#ifdef __CUDACC__
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.v[0]), "+f"(c.v[1]), "+f"(c.v[2]), "+f"(c.v[3])
      : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]), "r"(b.v[1]));
#else
  emu_mma(true, a.v, b.v, c.v, c.v);
#endif
}

#ifndef __CUDACC__
/// What a lane gets of matrix i, of eight rows of 16 bytes each.
DEVICE uint32_t matrix_word(const uint32_t *rows, int i, bool transposed) {
  const int lane = threadIdx.x & 31;
  if (!transposed) return rows[(8 * i + lane / 4) * 4 + lane % 4];
  uint32_t pair = 0;
  for (int side = 0; side < 2; side++) {
    const int row = lane % 4 * 2 + side, column = lane / 4;
    pair |= (rows[(8 * i + row) * 4 + column / 2] >> (16 * (column & 1)) & 0xffffu) << (16 * side);
  }
  return pair;
}
#endif

/// Four 8 by 8 matrices of 16-bit values from shared memory, whose rows are 16 bytes: lanes 8 i to 8 i + 7 give where those of matrix i
/// begin. Lane l gets columns 2 (l % 4) and the next of row l / 4; transposed, rows and columns change places.
template <bool TRANSPOSED = false> DEVICE void load_matrices(uint32_t (&v)[4], const void *row) {
#ifdef __CUDACC__
  if (TRANSPOSED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(shared_address(row)) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(shared_address(row)) : "memory");
#else
  const uint32_t *rows = emu_gather(row);
  for (int i = 0; i < 4; i++) v[i] = matrix_word(rows, i, TRANSPOSED);
#endif
}

/// Two matrices; lanes 0 to 15 give the rows.
template <bool TRANSPOSED = false> DEVICE void load_matrices(uint32_t (&v)[2], const void *row) {
#ifdef __CUDACC__
  if (TRANSPOSED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(v[0]), "=r"(v[1]) : "r"(shared_address(row)) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(v[0]), "=r"(v[1]) : "r"(shared_address(row)) : "memory");
#else
  const uint32_t *rows = emu_gather((threadIdx.x & 31) < 16 ? row : nullptr);
  for (int i = 0; i < 2; i++) v[i] = matrix_word(rows, i, TRANSPOSED);
#endif
}

/// Starts a copy of 16 bytes from global to shared memory, or of 16 zeros. It is done for this thread behind `copies_wait`, and for
/// the block's others behind a barrier after that.
DEVICE void copy_async(void *to, const void *from, bool present) {
#ifdef __CUDACC__
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(present ? 16 : 0) : "memory");
#else
  emu_copy_async(to, from, present ? 16 : 0);
#endif
}

/// Closes a group of copies, which may be empty.
DEVICE void copies_commit() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  emu_copy_commit();
#endif
}

/// Waits until at most the last PENDING groups are under way.
template <int PENDING> DEVICE void copies_wait() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#else
  emu_copy_wait(PENDING);
#endif
}
