// macOS on arm64. Declared by hand, so that no SDK is needed to build this: functions and layouts that the system keeps
// as they are, since programs that were compiled long ago have them inside.
#include "platform.h"

extern "C" {
void* mmap(void* at, unsigned long bytes, int access, int kind, int file, long long offset);
int munmap(void* at, unsigned long bytes);
struct Mutex {
  long signature;
  char rest[56];
};
struct Condition {
  long signature;
  char rest[40];
};
int pthread_create(void** thread, const void* attributes, void* (*body)(void*), void* argument);
int pthread_join(void* thread, void** result);
int pthread_mutex_lock(Mutex* mutex);
int pthread_mutex_unlock(Mutex* mutex);
int pthread_cond_wait(Condition* condition, Mutex* mutex);
int pthread_cond_broadcast(Condition* condition);
int sysctlbyname(const char* name, void* value, unsigned long* bytes, void* to, unsigned long to_bytes);
}

constexpr int readable = 1, writable = 2, privately = 2, anonymous = 0x1000;

void* platform_allocate(u64 bytes) {
  void* memory = mmap(nullptr, bytes, readable | writable, privately | anonymous, -1, 0);
  return memory == (void*)-1 ? nullptr : memory;
}

void platform_free(void* memory, u64 bytes) { munmap(memory, bytes); }

bool platform_start(u64* handle, void* (*body)(void*), void* argument) {
  void* thread;
  if (pthread_create(&thread, nullptr, body, argument) != 0) return false;
  *handle = (u64)thread;
  return true;
}

void platform_join(u64 handle) { pthread_join((void*)handle, nullptr); }

// As PTHREAD_MUTEX_INITIALIZER and PTHREAD_COND_INITIALIZER have them.
static Mutex mutex = {0x32aaaba7, {}};
static Condition changed = {0x3cb0b1bb, {}};

void platform_wait(u32* number, u32 value) {
  pthread_mutex_lock(&mutex);
  if (__atomic_load_n(number, __ATOMIC_SEQ_CST) == value) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
}

void platform_wake(u32*) {
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

/** All of Apple's processors that run macOS have it. */
bool platform_has_dot_product() { return true; }
/** From the second generation on. */
bool platform_has_int8_matrices() {
  i32 has = 0;
  unsigned long bytes = sizeof(has);
  return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &bytes, nullptr, 0) == 0 && has == 1;
}
