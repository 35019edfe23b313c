// WebAssembly: memory grows and never shrinks, so what was freed is kept for later. Threads are workers, which the host
// starts: it is told what they are to do, and each of them calls polyllama_thread in an instance of its own.
#include "platform.h"

constexpr u64 page = 4096, grown_page = 65536;

namespace {

/** Free memory in order of addresses, neighbours joined. Only the thread of the host allocates and frees. */
struct Range {
  u64 start, end;
};
Range ranges[8192];
u32 range_count = 0;

void remove(u32 index) {
  range_count--;
  for (u32 i = index; i < range_count; i++) ranges[i] = ranges[i + 1];
}

bool keep(u64 start, u64 end) {
  u32 i = 0;
  while (i < range_count && ranges[i].end < start) i++;
  if (i < range_count && ranges[i].start <= end) {  // they touch
    if (start < ranges[i].start) ranges[i].start = start;
    if (end > ranges[i].end) ranges[i].end = end;
    if (i + 1 < range_count && ranges[i].end == ranges[i + 1].start) {
      ranges[i].end = ranges[i + 1].end;
      remove(i + 1);
    }
    return true;
  }
  if (range_count == sizeof(ranges) / sizeof(ranges[0])) return false;
  for (u32 k = range_count++; k > i; k--) ranges[k] = ranges[k - 1];
  ranges[i] = {start, end};
  return true;
}

/** The number of a range of at least so many bytes, the smallest; or of the last one when it has grown to that. */
bool find(u64 bytes, u32& found) {
  found = range_count;
  for (u32 i = 0; i < range_count; i++) {
    const u64 size = ranges[i].end - ranges[i].start;
    if (size >= bytes && (found == range_count || size < ranges[found].end - ranges[found].start)) found = i;
  }
  if (found < range_count) return true;
  const u64 end = (u64)__builtin_wasm_memory_size(0) * grown_page;
  const u64 free = range_count > 0 && ranges[range_count - 1].end == end ? end - ranges[range_count - 1].start : 0;
  const u64 pages = (bytes - free + grown_page - 1) / grown_page;
  if (pages > 65536 || (long)__builtin_wasm_memory_grow(0, (unsigned long)pages) == -1) return false;
  if (!keep(end, end + pages * grown_page)) return false;
  found = range_count - 1;
  return true;
}

}  // namespace

void* platform_allocate(u64 bytes) {
  const u64 size = (bytes + page - 1) / page * page;
  u32 found;
  if (!find(size, found)) return nullptr;
  void* memory = (void*)(unsigned long)ranges[found].start;
  ranges[found].start += size;
  if (ranges[found].start == ranges[found].end) remove(found);
  __builtin_memset(memory, 0, (unsigned long)size);
  return memory;
}

void platform_free(void* memory, u64 bytes) {
  const u64 start = (u64)(unsigned long)memory;
  keep(start, start + (bytes + page - 1) / page * page);
}

#if defined(__wasm_atomics__)

__attribute__((import_module("polyllama"), import_name("start"))) void start_thread(void* (*body)(void*),
                                                                                    void* argument);

bool platform_start(u64*, void* (*body)(void*), void* argument) {
  start_thread(body, argument);
  return true;
}

extern "C" __attribute__((visibility("default"))) void polyllama_thread(void* (*body)(void*), void* argument) {
  body(argument);
}

/** The top of a stack for a thread; null where memory is short. */
extern "C" __attribute__((visibility("default"))) void* polyllama_stack(u32 bytes) {
  u8* memory = (u8*)platform_allocate(bytes);
  return memory == nullptr ? nullptr : memory + bytes;
}

void platform_wait(u32* number, u32 value) { __builtin_wasm_memory_atomic_wait32((int*)number, (int)value, -1); }

void platform_wake(u32* number) { __builtin_wasm_memory_atomic_notify((int*)number, 0xffffffffu); }

#else

bool platform_start(u64*, void* (*)(void*), void*) { return false; }
void platform_wait(u32*, u32) {}
void platform_wake(u32*) {}

#endif

/** Hosts end threads by ending their workers. */
void platform_join(u64) {}
