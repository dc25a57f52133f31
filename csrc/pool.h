// A small persistent pool of threads. Which thread runs a task never shows in its result.
#pragma once

#include <cstdint>
#include <functional>

namespace throughtime {

// Run task(i, worker) for every i < count on at most `threads` threads, the caller being worker 0. Tasks start in
// order, so the longest should come first. A call made while another is running (from a second Python thread, or
// from inside a task) runs on its own thread: more would oversubscribe the machine. Tasks must not throw.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t task, int worker)>& task);

}  // namespace throughtime
