// Tasks on several threads. Which thread runs a task never shows in its result.
#pragma once

#include <cstdint>
#include <functional>

#include "denormals.h"

namespace throughtime {

struct ThreadTeam {
  int threads;
  // Take torch's own threads. They spin for a while after each of torch's operations, and threads of ours beside them
  // would share their cores; but on a busy machine a call waits until each of them has had its turn.
  bool of_torch;
};

// The team, or one thread where there is less to do, in numbers read, than waking up another takes.
inline ThreadTeam of_worth(const ThreadTeam& team, int64_t numbers) {
  return numbers < 100'000 ? ThreadTeam{1, false} : team;
}

// The same in multiplications of a product, some fifty a nanosecond. Torch's threads go to sleep between the calls of a
// module that streams; a call then waits for each to be woken, and has to save more than that.
inline ThreadTeam of_products(const ThreadTeam& team, int64_t products) {
  return products < (team.of_torch ? 6'000'000 : 100'000) ? ThreadTeam{1, false} : team;
}

// Run task(i, worker) for every i < count, worker < team.threads. Tasks start in order, so the longest should come
// first. A call made while another is running (from a second Python thread, or from inside a task) runs on its own
// thread: more would oversubscribe the machine. Tasks must not throw. Inside them denormals are flushed or kept as
// said, whatever the thread does with them otherwise, which is found unchanged afterwards.
void parallel_for(int64_t count, const ThreadTeam& team, const std::function<void(int64_t task, int worker)>& task,
                  Denormals denormals = Denormals::flushed);

}  // namespace throughtime
