// Windows 10 and later, by kernel32 and the waits on addresses that are beside it. There is no C library: what
// compilers take for granted of one is here.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "platform.h"

void* platform_allocate(u64 bytes) { return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }

void platform_free(void* memory, u64) { VirtualFree(memory, 0, MEM_RELEASE); }

bool platform_start(u64* handle, void* (*body)(void*), void* argument) {
  // The library stays, as its threads may outlive whoever loaded it.
  HMODULE self;
  constexpr DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
  GetModuleHandleExW(flags, (LPCWSTR)&platform_start, &self);
  // Functions that return a pointer and those that return a number are called alike; nobody reads what this returns.
  const HANDLE thread = CreateThread(nullptr, 0, (LPTHREAD_START_ROUTINE)(void*)body, argument, 0, nullptr);
  *handle = (u64)thread;
  return thread != nullptr;
}

void platform_join(u64 handle) {
  WaitForSingleObject((HANDLE)handle, INFINITE);
  CloseHandle((HANDLE)handle);
}

void platform_wait(u32* number, u32 value) { WaitOnAddress(number, &value, sizeof(value), INFINITE); }

void platform_wake(u32* number) { WakeByAddressAll(number); }

extern "C" BOOL WINAPI DllMain(HINSTANCE, DWORD, LPVOID) { return TRUE; }

extern "C" void* memcpy(void* to, const void* from, size_t bytes) {
  void* const result = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}

extern "C" void* memset(void* to, int value, size_t bytes) {
  void* const result = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return result;
}

/** Called where a function takes more than a page of the stack: touches each page of the RAX bytes, in their order. */
__asm__(
    ".globl ___chkstk_ms\n"
    "___chkstk_ms:\n"
    "  pushq %rcx\n"
    "  pushq %rax\n"
    "  leaq 24(%rsp), %rcx\n"
    "1:\n"
    "  cmpq $4096, %rax\n"
    "  jb 2f\n"
    "  subq $4096, %rcx\n"
    "  orq $0, (%rcx)\n"
    "  subq $4096, %rax\n"
    "  jmp 1b\n"
    "2:\n"
    "  subq %rax, %rcx\n"
    "  orq $0, (%rcx)\n"
    "  popq %rax\n"
    "  popq %rcx\n"
    "  ret\n");
