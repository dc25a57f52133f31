#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

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
  const Denormals denormals;
  std::atomic<int64_t> next{0};
  std::atomic<int> joined{0};

  void work() {
    const DenormalMode mode(denormals);
    const int worker = joined.fetch_add(1);
    for (int64_t i; (i = next.fetch_add(1)) < count;) task(i, worker);
  }
};

// GNU OpenMP's entry for a parallel region, as torch's own library is bound to it; null where torch runs on another
// runtime.
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

// Threads of our own. A round does not wait for one that comes when all is taken: on a busy machine that may be late.
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
      try {
        for (; workers_ < helpers; ++workers_) std::thread([this] { serve(); }).detach();
      } catch (const std::system_error&) {
        // No room for another: those that are there do the work.
      }
      open_ = &round;
      seats_ = helpers;
      rounds_.fetch_add(1);
    }
    wake_.notify_all();
    round.work();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      open_ = nullptr;
    }
    spin([&] { return working_.load() == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [&] { return working_.load() == 0; });
  }

 private:
  // Between the phases of a call, and often between calls, the next round is near: waking up would take as long.
  template <class Ready>
  static void spin(const Ready& ready) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    while (!ready() && std::chrono::steady_clock::now() < until) {
    }
  }

  void serve() {
    uint64_t seen = 0;
    for (;;) {
      spin([&] { return rounds_.load() != seen; });
      Round* round;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return rounds_.load() != seen; });
        seen = rounds_.load();
        if (!open_ || seats_ == 0) continue;
        round = open_;
        --seats_;
        working_.fetch_add(1);
      }
      round->work();
      std::lock_guard<std::mutex> lock(mutex_);
      working_.fetch_sub(1);
      idle_.notify_one();
    }
  }

  const int process_ = getpid();
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  Round* open_ = nullptr;
  int workers_ = 0, seats_ = 0;
  std::atomic<int> working_{0};
  std::atomic<uint64_t> rounds_{0};
};

// Which process runs a round now, 0 for none: a forked child does not inherit its parent's round.
std::atomic<int> busy{0};

}  // namespace

void parallel_for(int64_t count, const ThreadTeam& team, const Task& task, Denormals denormals) {
  Round round{task, count, denormals};
  const int threads = static_cast<int>(team.threads < count ? team.threads : count), process = getpid();
  int holder = busy.load();
  if (threads < 2 || holder == process || !busy.compare_exchange_strong(holder, process)) return round.work();
  if (team.of_torch && torch_parallel && process == process_at_load) {
    torch_parallel([](void* of) { static_cast<Round*>(of)->work(); }, &round, static_cast<unsigned>(threads), 0);
  } else {
    Pool::of_this_process().run(round, threads - 1);
  }
  busy.store(0);
}

}  // namespace throughtime
