// What the fake driver (cuda.cpp) needs of the emulation (emulation.cpp).
#pragma once
#include "emulation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

void emuStart();
uint8_t *emuArena();
size_t emuArenaBytes();
/// State of bytes: 0 not allocated, 1 not yet written, 2 written.
void emuMark(const void *p, size_t bytes, uint8_t state);
void emuCopyMarks(const void *to, const void *from, size_t bytes);
bool emuOwns(const void *p);
bool emuAllocated(const void *p, size_t bytes);
void emuSetOrder(int order);
/// Counts the bytes that kernels load from there, each time, from now on.
void emuWatch(const void *p, size_t bytes);
uint64_t emuLoaded();
/// Runs a kernel; 0, or the CUresult that a driver would report later.
int emuLaunch(const std::string &name, void (*code)(const void *), const void *parameters, emu_dim3 grid, emu_dim3 block);
void emuReport(const std::string &text);
