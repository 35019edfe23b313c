// From rows as checkpoints store them to groups as kernels read them (kernels/format.h says how those lie). No value
// changes. Rows are put in place word by word: a word is four columns of one row. They are in memory, or are read by
// the threads themselves from the checkpoint's file.
#pragma once
#include "team.h"

void repack(const Context& c, const void* step);
