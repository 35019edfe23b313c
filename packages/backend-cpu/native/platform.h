// What differs between systems: memory, threads, and sleeping until a number in memory changes.
#pragma once
#include "types.h"

/** Zeroed memory in whole pages, in large ones where the system has them; null where there is none. */
void* platform_allocate(u64 bytes);
void platform_free(void* memory, u64 bytes);

/**
 * A file's first bytes as memory, freed as other memory is; null where there is no such thing. Writing changes the file
 * where it is writable, and is an error else.
 */
void* platform_map(u32 file, u64 bytes, bool writable);
/** Reads bytes of a file; false unless it has all of them. */
bool platform_read(u32 file, void* to, u64 bytes, u64 offset);

/** Starts a thread; false where the system has none left. */
bool platform_start(u64* handle, void* (*body)(void*), void* argument);
void platform_join(u64 handle);

/** Sleeps while *number == value; may return early. */
void platform_wait(u32* number, u32 value);
/** Wakes all who sleep. */
void platform_wake(u32* number);

#if defined(__aarch64__)
/** Whether the processor has products of bytes (FEAT_DotProd). */
bool platform_has_dot_product();
/** Whether it has those of 2 x 8 bytes with 8 x 2 (FEAT_I8MM). */
bool platform_has_int8_matrices();
#endif

/** Tells the processor that this is a loop of waiting. */
static inline void platform_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}
