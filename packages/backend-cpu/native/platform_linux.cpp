#include "platform.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

constexpr u64 large_page = 2 << 20;

static u64 whole_pages(u64 bytes) {
  const u64 page = bytes >= large_page ? large_page : 4096;
  return (bytes + page - 1) / page * page;
}

void* platform_allocate(u64 bytes) {
  const u64 size = whole_pages(bytes);
  if (size < large_page) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
  }
  // More than is needed, so that it can begin at a large page; the rest is given back.
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = mmap(nullptr, size + large_page, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const u64 start = (u64)memory, aligned = (start + large_page - 1) / large_page * large_page;
  if (aligned > start) munmap(memory, aligned - start);
  if (aligned < start + large_page) munmap((void*)(aligned + size), start + large_page - aligned);
  madvise((void*)aligned, size, MADV_HUGEPAGE);
  return (void*)aligned;
}

void platform_free(void* memory, u64 bytes) { munmap(memory, whole_pages(bytes)); }

bool platform_start(u64* handle, void* (*body)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, body, argument) != 0) return false;
  *handle = (u64)thread;
  return true;
}

void platform_join(u64 handle) { pthread_join((pthread_t)handle, nullptr); }

void platform_wait(u32* number, u32 value) {
  syscall(SYS_futex, number, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void platform_wake(u32* number) { syscall(SYS_futex, number, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0); }

#if defined(__aarch64__)
bool platform_has_dot_product() { return (getauxval(AT_HWCAP) >> 20 & 1) != 0; }
bool platform_has_int8_matrices() { return (getauxval(AT_HWCAP2) >> 13 & 1) != 0; }
#endif
