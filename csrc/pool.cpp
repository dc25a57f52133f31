#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if defined(_WIN32)
#include <process.h>
#define getpid _getpid
#else
#include <dlfcn.h>
#include <unistd.h>
#endif

namespace throughtime {
namespace {

using Task = std::function<void(int64_t, int)>;

// One round of tasks: whoever joins takes the next one until none is left.
struct Round {
  const Task& task;
  const int64_t count;
  std::atomic<int64_t> next{0};
  std::atomic<int> joined{0};

  void work() {
    const int worker = joined.fetch_add(1);
    for (int64_t i; (i = next.fetch_add(1)) < count;) task(i, worker);
  }
};

// GNU OpenMP's entry for a parallel region, as torch's own library is bound to it; null where torch runs on another
// runtime. Its threads spin for a while after each of torch's operations: a pool beside them would share their cores.
using Parallel = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
const Parallel torch_parallel = [] {
  Parallel found = nullptr;
#if defined(__linux__)
  if (void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD)) {
    found = reinterpret_cast<Parallel>(dlsym(torch, "GOMP_parallel"));
  }
#endif
  return found;
}();
// OpenMP's threads do not survive a fork, and the child would wait for them.
const auto process_at_load = getpid();

// Threads of our own.
class Pool {
 public:
  // A forked child inherits the memory but none of the threads: it leaves its parent's pool alone, locks and all,
  // and makes its own.
  static Pool& of_this_process() {
    static std::atomic<Pool*> current{nullptr};
    Pool* pool = current.load();
    if (!pool || pool->process_ != getpid()) {
      Pool* fresh = new Pool;  // never deleted: its threads outlive every static destructor
      if (current.compare_exchange_strong(pool, fresh)) return *fresh;
      delete fresh;  // another thread was faster; no worker has started yet
      return *current.load();
    }
    return *pool;
  }

  void run(Round& round, int helpers) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (workers_ < helpers) {
        std::thread([this, index = ++workers_] { serve(index); }).detach();
      }
      round_ = &round;
      active_ = helpers;
      pending_ = helpers;
      ++rounds_;
    }
    wake_.notify_all();
    round.work();
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return pending_ == 0; });
  }

 private:
  void serve(int index) {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return rounds_ != seen; });
        seen = rounds_;
        if (index > active_) continue;  // this round asked for fewer threads
      }
      round_->work();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--pending_ == 0) idle_.notify_one();
    }
  }

  const int process_ = getpid();
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  Round* round_ = nullptr;
  int workers_ = 0, active_ = 0, pending_ = 0;
  uint64_t rounds_ = 0;
};

// Which process runs a round now, 0 for none: a forked child does not inherit its parent's round.
std::atomic<int> busy{0};

}  // namespace

void parallel_for(int64_t count, int threads, const Task& task) {
  Round round{task, count};
  const int team = static_cast<int>(threads < count ? threads : count), process = getpid();
  int holder = busy.load();
  if (team < 2 || holder == process || !busy.compare_exchange_strong(holder, process)) return round.work();
  if (torch_parallel && process == process_at_load) {
    torch_parallel([](void* of) { static_cast<Round*>(of)->work(); }, &round, static_cast<unsigned>(team), 0);
  } else {
    Pool::of_this_process().run(round, team - 1);
  }
  busy.store(0);
}

}  // namespace throughtime
