// Linux's platform for builds with sanitizers: memory of exactly the bytes that were asked for, from the allocator that
// they watch, where the library takes whole pages from the system.
#include <stdlib.h>
#include <string.h>

#define platform_allocate platform_allocate_pages
#define platform_free platform_free_pages
#include "../platform_linux.cpp"
#undef platform_allocate
#undef platform_free

void* platform_allocate(u64 bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 4096, bytes) != 0) return nullptr;
  return memset(memory, 0, bytes);
}

void platform_free(void* memory, u64) { free(memory); }
