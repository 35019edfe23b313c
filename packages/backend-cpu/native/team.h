// Threads that compute one step together. A step's work is a number of units. Each thread has a contiguous share of
// them, which is read in order and thus fast; who has done his share takes from those of others, so that a core which
// another process keeps busy slows a step and does not stop it.
#pragma once
#include "structs.h"

/** Units that were taken from a thread's share. */
struct alignas(64) Share {
  u32 taken;
};

/** Memory that steps refer to, by number. Number 0 is the device's own: what host and library tell each other. */
struct Arena {
  u8* start;
  u64 bytes;
};
constexpr u32 arena_count = 4096;

struct Context {
  const Run* run;
  const Arena* arenas;
  Share* shares;
  u32 thread, threads;
  /** Memory of this thread alone. */
  u8* scratch;
  /** A row that is not finite was found. */
  u32* not_finite;
  /** What could not be read: nothing, or a page's number and one. */
  u32* unread;

  void* resolve(u64 ref) const { return arenas[ref >> 48].start + (ref & 0xffffffffffffull); }

  /** The next unit of a step that has so many; false when all are taken. */
  bool next(u32 units, u32& unit) const {
    for (u32 i = 0; i < threads; i++) {
      const u32 owner = thread + i < threads ? thread + i : thread + i - threads;
      const u32 first = (u32)((u64)units * owner / threads), end = (u32)((u64)units * (owner + 1) / threads);
      u32* taken = &shares[owner].taken;
      if (__atomic_load_n(taken, __ATOMIC_RELAXED) >= end - first) continue;
      const u32 number = __atomic_fetch_add(taken, 1, __ATOMIC_RELAXED);
      if (number < end - first) {
        unit = first + number;
        return true;
      }
    }
    return false;
  }
};

typedef void (*Kernel)(const Context&, const void* step);

/** The kernels of an instruction set, by kind of step. */
struct Kernels {
  const char* name;
  Kernel by_kind[step_kinds];
};
