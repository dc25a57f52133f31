#include "memory.h"

#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#if defined(_WIN32)
#include <malloc.h>
#endif

namespace throughtime {
namespace {

constexpr size_t line = 64;
constexpr size_t most_idle = size_t{512} << 20;

// In the line before the block.
struct Header {
  size_t bytes;
};

void* allocate(size_t bytes) {
#if defined(_WIN32)
  void* memory = _aligned_malloc(bytes, line);
#else
  void* memory = std::aligned_alloc(line, bytes);
#endif
  if (!memory) throw std::bad_alloc();
  return memory;
}

void release(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

struct Idle {
  std::mutex mutex;
  std::vector<Header*> blocks;  // the last given back at the end
  size_t bytes = 0;
};

Idle& idle() {
  static Idle* const shared = new Idle;  // never deleted: tensors may die after the static destructors
  return *shared;
}

}  // namespace

void* borrow(size_t bytes) {
  const size_t needed = (bytes + line - 1) / line * line;
  Idle& of_all = idle();
  {
    std::lock_guard<std::mutex> lock(of_all.mutex);
    // The latest first: it is the one still cached. None more than twice as large, or a small tensor would hold it.
    for (size_t i = of_all.blocks.size(); i-- > 0;) {
      Header* block = of_all.blocks[i];
      if (block->bytes < needed || block->bytes / 2 > needed) continue;
      of_all.blocks.erase(of_all.blocks.begin() + static_cast<std::ptrdiff_t>(i));
      of_all.bytes -= block->bytes;
      return reinterpret_cast<char*>(block) + line;
    }
  }
  Header* block = static_cast<Header*>(allocate(needed + line));
  block->bytes = needed;
  return reinterpret_cast<char*>(block) + line;
}

void give_back(void* memory) noexcept {
  Header* block = reinterpret_cast<Header*>(static_cast<char*>(memory) - line);
  Idle& of_all = idle();
  std::lock_guard<std::mutex> lock(of_all.mutex);
  if (block->bytes > most_idle) {
    release(block);
    return;
  }
  // The oldest make room.
  while (of_all.bytes + block->bytes > most_idle) {
    of_all.bytes -= of_all.blocks.front()->bytes;
    release(of_all.blocks.front());
    of_all.blocks.erase(of_all.blocks.begin());
  }
  of_all.blocks.push_back(block);
  of_all.bytes += block->bytes;
}

size_t idle_bytes() {
  std::lock_guard<std::mutex> lock(idle().mutex);
  return idle().bytes;
}

void release_idle() noexcept {
  std::lock_guard<std::mutex> lock(idle().mutex);
  for (Header* block : idle().blocks) release(block);
  idle().blocks.clear();
  idle().bytes = 0;
}

}  // namespace throughtime
