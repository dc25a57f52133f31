#include "recurrent.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "dispatch.h"

namespace throughtime {
namespace {

// Partial weight gradients held at once: members beyond it wait for the next round.
constexpr int64_t partial_budget = int64_t{256} << 20;

// Memory for one call, kept by the calling thread up to a limit: fresh pages cost more than small nets compute.
class Workspace {
 public:
  ~Workspace() { std::free(memory_); }
  void* ensure(size_t bytes) {
    if (bytes > size_) {
      std::free(memory_);
      size_ = 0;
      const size_t rounded = (bytes + 4095) / 4096 * 4096;
      memory_ = std::aligned_alloc(4096, rounded);
      if (!memory_) throw std::bad_alloc();
      size_ = rounded;
    }
    return memory_;
  }
  void trim() {
    constexpr size_t keep = size_t{64} << 20;
    if (size_ > keep) {
      std::free(memory_);
      memory_ = nullptr;
      size_ = 0;
    }
  }

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

thread_local Workspace workspace;

struct Plan {
  std::vector<int64_t> series, length;
  std::vector<Block> blocks;  // member by member
  int64_t blocks_per_member;
  int64_t cells = 0;  // steps of all series

  template <class Real>
  Plan(const Problem<Real>& p, const int64_t* lengths) {
    const int64_t rows = block_rows(p.kind, p.channels, p.hidden, sizeof(Real));
    blocks_per_member = (p.batch + rows - 1) / rows;
    series.resize(p.members * p.batch);
    length.resize(p.members * p.batch);
    blocks.reserve(p.members * blocks_per_member);
    for (int64_t member = 0; member < p.members; ++member) {
      const auto steps_of = [&](int64_t at) { return lengths ? lengths[member * p.batch + at] : p.time; };
      for (int64_t first = 0; first < p.batch; first += rows) {
        const int64_t count = std::min(rows, p.batch - first), at = member * p.batch + first;
        const auto begin = series.begin() + at;
        std::iota(begin, begin + count, first);
        std::stable_sort(begin, begin + count, [&](int64_t a, int64_t b) { return steps_of(a) > steps_of(b); });
        Block block{member, first, static_cast<int>(count), &series[at], &length[at], 0, 0};
        for (int64_t r = 0; r < count; ++r) {
          const int64_t steps = steps_of(series[at + r]);
          if (steps < 1 || steps > p.time) {
            throw std::invalid_argument("lengths needs values from 1 to " + std::to_string(p.time) + ", got " +
                                        std::to_string(steps));
          }
          length[at + r] = steps;
          block.cells += steps;
        }
        block.steps = length[at];
        cells += block.cells;
        blocks.push_back(block);
      }
    }
  }

  // The order in which to start blocks first..last: the most work first, or the end would wait for one thread.
  std::vector<int64_t> order(int64_t first, int64_t last) const {
    std::vector<int64_t> out(last - first);
    std::iota(out.begin(), out.end(), first);
    std::stable_sort(out.begin(), out.end(), [&](int64_t a, int64_t b) { return blocks[a].cells > blocks[b].cells; });
    return out;
  }
};

// Multiplications of one step of one series; the activation of a gate takes as long as some thirty.
template <class Real>
int64_t cell_products(const Problem<Real>& p) {
  return weight_gates(p.kind) * p.hidden * (p.channels + p.hidden + 30);
}

}  // namespace

int block_rows(Kind kind, int64_t channels, int64_t hidden, size_t real_bytes) {
  // While a member's weights stay in L2, small blocks give more tasks to share out. Beyond it every step streams
  // them from L3, and more rows must pay for that.
  const int64_t bytes = weight_gates(kind) * hidden * (channels + hidden) * static_cast<int64_t>(real_bytes);
  return bytes <= (384 << 10) ? 16 : 32;
}

template <class Real>
void recurrent_forward(const Problem<Real>& p, const int64_t* lengths, const ThreadTeam& team, const std::string& isa) {
  const Kernels<Real>& k = kernels<Real>(isa);
  const Plan plan(p, lengths);
  const int64_t rows = block_rows(p.kind, p.channels, p.hidden, sizeof(Real));
  const int64_t panels = k.forward_panels(p), packed_size = whole_lines(k.forward_packed(p), sizeof(Real));
  const int64_t scratch_size = whole_lines(k.forward_scratch(p, static_cast<int>(rows)), sizeof(Real));
  Real* const packed =
      static_cast<Real*>(workspace.ensure((p.members * packed_size + team.threads * scratch_size) * sizeof(Real)));
  Real* const scratch = packed + p.members * packed_size;
  parallel_for(p.members * panels, of_worth(team, p.members * packed_size), [&](int64_t task, int) {
    const int64_t member = task / panels;
    k.pack_forward(p, member, task % panels, packed + member * packed_size);
  });
  const std::vector<int64_t> order = plan.order(0, static_cast<int64_t>(plan.blocks.size()));
  parallel_for(static_cast<int64_t>(order.size()), of_products(team, plan.cells * cell_products(p)),
               [&](int64_t task, int worker) {
                 const Block& block = plan.blocks[order[task]];
                 k.forward(p, block, packed + block.member * packed_size, scratch + worker * scratch_size);
               });
  workspace.trim();
}

template <class Real>
void recurrent_backward(const Problem<Real>& p, const int64_t* lengths, const ThreadTeam& team,
                        const std::string& isa) {
  const Kernels<Real>& k = kernels<Real>(isa);
  const Plan plan(p, lengths);
  const int64_t rows = block_rows(p.kind, p.channels, p.hidden, sizeof(Real));
  // Segments are run forward again: those weights follow the backward pass's.
  const int64_t backward_panels = k.backward_panels(p), backward_size = whole_lines(k.backward_packed(p), sizeof(Real));
  const int64_t panels = backward_panels + (p.segment ? k.forward_panels(p) : 0);
  const int64_t packed_size = backward_size + (p.segment ? whole_lines(k.forward_packed(p), sizeof(Real)) : 0);
  const int64_t scratch_size = whole_lines(k.backward_scratch(p, static_cast<int>(rows)), sizeof(Real));
  const int64_t partial_size = p.dw_hh ? k.partial(p) : 0, pieces = p.dw_hh ? k.reduce_pieces(p) : 0;
  const int64_t per_member = plan.blocks_per_member;
  const int64_t member_bytes = (per_member * partial_size + packed_size) * static_cast<int64_t>(sizeof(Real));
  const int64_t at_once = std::clamp(partial_budget / member_bytes, int64_t{1}, p.members);
  Real* const packed = static_cast<Real*>(workspace.ensure(
      (at_once * (packed_size + per_member * partial_size) + team.threads * scratch_size) * sizeof(Real)));
  Real* const partials = packed + at_once * packed_size;
  Real* const scratch = partials + at_once * per_member * partial_size;
  for (int64_t first = 0; first < p.members; first += at_once) {
    const int64_t members = std::min(at_once, p.members - first);
    parallel_for(members * panels, of_worth(team, members * packed_size), [&](int64_t task, int) {
      const int64_t member = task / panels, panel = task % panels;
      Real* const to = packed + member * packed_size;
      if (panel < backward_panels) {
        k.pack_backward(p, first + member, panel, to);
      } else {
        k.pack_forward(p, first + member, panel - backward_panels, to + backward_size);
      }
    });
    const std::vector<int64_t> order = plan.order(first * per_member, (first + members) * per_member);
    parallel_for(static_cast<int64_t>(order.size()), of_products(team, plan.cells * cell_products(p)),
                 [&](int64_t task, int worker) {
                   const int64_t index = order[task];
                   const Block& block = plan.blocks[index];
                   const Real* const weights = packed + (block.member - first) * packed_size;
                   k.backward(p, block, weights, weights + backward_size,
                              partials + (index - first * per_member) * partial_size, scratch + worker * scratch_size);
                 });
    parallel_for(members * pieces, of_worth(team, members * per_member * partial_size), [&](int64_t task, int) {
      const int64_t member = task / pieces;
      k.reduce(p, first + member, task % pieces, partials + member * per_member * partial_size, per_member);
    });
  }
  workspace.trim();
}

template void recurrent_forward<float>(const Problem<float>&, const int64_t*, const ThreadTeam&, const std::string&);
template void recurrent_forward<double>(const Problem<double>&, const int64_t*, const ThreadTeam&, const std::string&);
template void recurrent_backward<float>(const Problem<float>&, const int64_t*, const ThreadTeam&, const std::string&);
template void recurrent_backward<double>(const Problem<double>&, const int64_t*, const ThreadTeam&, const std::string&);

}  // namespace throughtime
