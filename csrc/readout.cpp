#include "readout.h"

#include <algorithm>
#include <stdexcept>

#include "dispatch.h"

namespace throughtime {
namespace {

// Rows of losses that one task takes.
constexpr int64_t piece = 256;

template <class Real, class Task>
void in_pieces(const Losses<Real>& l, const ThreadTeam& team, const Task& task) {
  parallel_for((l.rows + piece - 1) / piece, of_worth(team, 16 * l.rows * l.outputs),
               [&](int64_t i, int) { task(i * piece, std::min((i + 1) * piece, l.rows)); });
}

}  // namespace

template <class Real>
void readout_forward(const Readout<Real>& r, const ThreadTeam& team, const std::string& isa) {
  const Kernels<Real>& k = kernels<Real>(isa);
  parallel_for(r.members, of_worth(team, r.members * r.rows * r.inputs * r.outputs),
               [&](int64_t member, int) { k.readout_forward(r, member); });
}

template <class Real>
void readout_backward(const Readout<Real>& r, const ThreadTeam& team, const std::string& isa) {
  const Kernels<Real>& k = kernels<Real>(isa);
  parallel_for(r.members, of_worth(team, 2 * r.members * r.rows * r.inputs * r.outputs),
               [&](int64_t member, int) { k.readout_backward(r, member); });
}

template <class Real>
void loss_forward(const Losses<Real>& l, const ThreadTeam& team, const std::string& isa) {
  if (l.loss == Loss::cross_entropy) {
    for (int64_t row = 0; row < l.rows; ++row) {
      if (l.targets[row] >= 0 && l.targets[row] < static_cast<double>(l.outputs)) continue;
      throw std::invalid_argument("targets needs classes from 0 to " + std::to_string(l.outputs - 1) + ", got " +
                                  std::to_string(l.targets[row]));
    }
  }
  const Kernels<Real>& k = kernels<Real>(isa);
  in_pieces(l, team, [&](int64_t begin, int64_t end) { k.loss_forward(l, begin, end); });
}

template <class Real>
void loss_backward(const Losses<Real>& l, const ThreadTeam& team, const std::string& isa) {
  const Kernels<Real>& k = kernels<Real>(isa);
  in_pieces(l, team, [&](int64_t begin, int64_t end) { k.loss_backward(l, begin, end); });
}

#define TT_INSTANTIATE(Real)                                                                         \
  template void readout_forward<Real>(const Readout<Real>&, const ThreadTeam&, const std::string&);  \
  template void readout_backward<Real>(const Readout<Real>&, const ThreadTeam&, const std::string&); \
  template void loss_forward<Real>(const Losses<Real>&, const ThreadTeam&, const std::string&);      \
  template void loss_backward<Real>(const Losses<Real>&, const ThreadTeam&, const std::string&);
TT_INSTANTIATE(float)
TT_INSTANTIATE(double)

}  // namespace throughtime
