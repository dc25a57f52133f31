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
#include <unistd.h>
#endif

namespace throughtime {
namespace {

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

  void run(int64_t count, int threads, const std::function<void(int64_t, int)>& task) {
    std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    const int64_t helpers = (threads < count ? threads : count) - 1;
    if (!busy.owns_lock() || helpers < 1) {
      for (int64_t i = 0; i < count; ++i) task(i, 0);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int64_t>(workers_) < helpers) {
        std::thread([this, index = ++workers_] { serve(index); }).detach();
      }
      task_ = &task;
      count_ = count;
      next_.store(0);
      active_ = static_cast<int>(helpers);
      pending_ = static_cast<int>(helpers);
      ++round_;
    }
    wake_.notify_all();
    work(0);
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return pending_ == 0; });
  }

 private:
  void work(int worker) {
    for (int64_t i; (i = next_.fetch_add(1)) < count_;) (*task_)(i, worker);
  }

  void serve(int index) {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
        if (index > active_) continue;  // this round asked for fewer threads
      }
      work(index);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--pending_ == 0) idle_.notify_one();
    }
  }

  const int process_ = getpid();
  std::mutex busy_, mutex_;
  std::condition_variable wake_, idle_;
  const std::function<void(int64_t, int)>* task_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  int workers_ = 0, active_ = 0, pending_ = 0;
  uint64_t round_ = 0;
};

}  // namespace

void parallel_for(int64_t count, int threads, const std::function<void(int64_t, int)>& task) {
  Pool::of_this_process().run(count, threads, task);
}

}  // namespace throughtime
