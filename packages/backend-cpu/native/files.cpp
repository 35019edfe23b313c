// Files by their descriptors, as the host opened them: read by the threads that want their bytes, or mapped. On
// Windows descriptors mean something to the host's own C library alone, and in WebAssembly there are none; nothing is
// read there.
#include "platform.h"

#if defined(__linux__) || defined(__APPLE__)
#if defined(__APPLE__)
// By hand, as in platform_darwin.cpp.
extern "C" void* mmap(void* at, unsigned long bytes, int access, int kind, int file, long long offset);
extern "C" long pread(int file, void* to, unsigned long bytes, long long offset);
constexpr int PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 16;
static void* const MAP_FAILED = (void*)-1;
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

void* platform_map(u32 file, u64 bytes, bool writable) {
  // In the place of as much other memory, which is what platform_free gives back.
  void* memory = platform_allocate(bytes);
  if (memory == nullptr) return nullptr;
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const int sharing = writable ? MAP_SHARED : MAP_PRIVATE;
  if (mmap(memory, bytes, protection, sharing | MAP_FIXED, (int)file, 0) != MAP_FAILED) return memory;
  platform_free(memory, bytes);
  return nullptr;
}

bool platform_read(u32 file, void* to, u64 bytes, u64 offset) {
  for (u64 done = 0; done < bytes;) {
    const long count = pread((int)file, (u8*)to + done, bytes - done, (long)(offset + done));
    if (count <= 0) return false;
    done += (u64)count;
  }
  return true;
}
#else
void* platform_map(u32, u64, bool) { return nullptr; }
bool platform_read(u32, void*, u64, u64) { return false; }
#endif
