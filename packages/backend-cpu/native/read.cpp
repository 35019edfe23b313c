#include "read.h"

#include "platform.h"
#include "xxh64.h"

constexpr u64 page_bytes = 1 << 20;

void read_pages(const Context& c, const void* step) {
  const ReadStep& s = *(const ReadStep*)step;
  u8* to = (u8*)c.resolve(s.to);
  u64* checksums = (u64*)c.resolve(s.checksums);
  for (u32 unit; c.next(s.rows, unit);) {
    const u32 page = s.firstPage + unit;
    const u64 start = page_bytes * page, left = s.bytes - start;
    const u64 bytes = left < page_bytes ? left : page_bytes;
    const bool read = s.file == 0 || platform_read(s.file - 1, to + start, bytes, start);
    const u64 checksum = read ? xxh64(to + start, bytes) : 0;
    if (s.sum) {
      checksums[page] = checksum;
    } else if (!read || checksum != checksums[page]) {
      __atomic_store_n(c.unread, page + 1, __ATOMIC_RELAXED);
    }
  }
}
