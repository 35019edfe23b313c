// Packed weights of a file into memory, a page of a mebibyte at a time. Whoever reads a page compares it with its
// checksum while it is still in the cache.
#pragma once
#include "team.h"

void read_pages(const Context& c, const void* step);
