#include "fused_steps.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "memory.h"
#include "recurrent.h"

namespace throughtime {
namespace {

// What one member's step leaves for the next stage of it; made once per thread and used for every member it takes.
template <class Real>
class Workspace {
 public:
  template <class Source>
  Workspace(const FusedSteps<Source, Real>& d, int64_t time) {
    const int64_t rows = std::min(d.rows, d.positions), cells = time * rows, width = d.channels + d.columns;
    const std::pair<Real**, int64_t> parts[] = {
        {&x, cells * width},
        {&reserve, cells * reserve_stride(d.hidden, sizeof(Real)) * reserve_slots(d.kind, false)},
        {&h_n, rows * d.hidden},
        {&c_n, rows * d.hidden},
        {&dh_n, rows * d.hidden},
        {&y, rows * d.outputs},
        {&dy, rows * d.outputs},
        {&losses, rows},
        {&share, rows},
        {&grads, d.update.width},
    };
    constexpr int64_t line = 64 / sizeof(Real);
    const auto whole_lines = [](int64_t count) { return (count + line - 1) / line * line; };
    int64_t total = 0;
    for (const auto& [place, count] : parts) total += whole_lines(count);
    memory_ = static_cast<Real*>(borrow(total * sizeof(Real)));
    Real* next = memory_;
    for (const auto& [place, count] : parts) {
      *place = next;
      next += whole_lines(count);
    }
    std::fill(grads, grads + d.update.width, Real(0));  // between the tensors it stays so
    for (std::vector<int64_t>* each : {&series, &begins, &lengths}) each->resize(rows);
    for (std::vector<double>* each : {&targets, &weights}) each->resize(rows);
    if (d.dh_norms) dh_squares.resize(cells);
    if (d.dc_norms) dc_squares.resize(cells);
  }
  ~Workspace() { give_back(memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  Real *x, *reserve, *h_n, *c_n, *dh_n, *y, *dy, *losses, *share, *grads;
  std::vector<int64_t> series, begins, lengths;
  std::vector<double> targets, weights, dh_squares, dc_squares;

 private:
  Real* memory_;
};

template <class Source, class Real>
class Member {
 public:
  Member(const FusedSteps<Source, Real>& d, int64_t member, Workspace<Real>& workspace, const ThreadTeam& team,
         const std::string& isa)
      : d_(d), member_(member), workspace_(workspace), team_(team), isa_(isa) {}

  void take_steps() {
    for (int64_t step = 0; step < d_.steps; ++step) {
      const int64_t first = (d_.first_step + step) * d_.rows;
      if (first >= d_.positions || order()[first] < 0) return;  // a smaller sample than its neighbors'
      const int64_t* const end = order() + std::min(first + d_.rows, d_.positions);
      rows_ = std::find_if(order() + first, end, [](int64_t position) { return position < 0; }) - (order() + first);
      const int64_t time = look_up(order() + first);
      load_batch(step, time);
      descend(step, time);
      measure(step, time);
      update(step);
    }
  }

 private:
  const int64_t* order() const { return d_.order + member_ * d_.positions; }

  // Which series the batch holds. Returns the steps of the longest.
  int64_t look_up(const int64_t* positions) {
    int64_t longest = 1;
    for (int64_t row = 0; row < rows_; ++row) {
      const int64_t at = member_ * d_.sample_size + positions[row], series = d_.series[at];
      workspace_.series[row] = series;
      workspace_.begins[row] = d_.starts[series];
      workspace_.lengths[row] = d_.lengths[series];
      workspace_.targets[row] = d_.targets[at];
      workspace_.weights[row] = d_.weights[at];
      longest = std::max(longest, workspace_.lengths[row]);
    }
    return longest;
  }

  void load_batch(int64_t step, int64_t time) {
    const int64_t width = d_.channels + d_.columns;
    Gather<Source, Real> g{};
    g.members = 1, g.time = time, g.batch = rows_, g.channels = d_.channels, g.columns = d_.columns;
    g.values = d_.values, g.constants = d_.constants;
    g.begins = workspace_.begins.data(), g.lengths = workspace_.lengths.data(), g.series = workspace_.series.data();
    g.shift = d_.shift + member_ * width, g.scale = d_.scale + member_ * width;
    g.x = workspace_.x;
    const int64_t own = 0;
    if (d_.noise_of && d_.noise_of[member_] >= 0) {
      g.noise_channels = d_.noise_channels, g.noise_time = d_.noise_time;
      g.noise_rows = std::min(d_.rows, d_.positions);
      g.noise_of = &own;
      g.noise = d_.noise + (d_.noise_of[member_] * d_.steps + step) * g.noise_time * g.noise_rows * g.noise_channels;
    }
    gather(g, team_, isa_);
  }

  const Real* mask_at(int64_t step) const {
    if (!d_.mask_of || d_.mask_of[member_] < 0) return nullptr;
    return d_.masks + (d_.mask_of[member_] * d_.steps + step) * std::min(d_.rows, d_.positions) * d_.hidden;
  }

  void multiply(Real* features, const Real* mask) const {
    for (int64_t i = 0; mask && i < rows_ * d_.hidden; ++i) features[i] *= mask[i];
  }

  void descend(int64_t step, int64_t time) {
    const Real* weights = d_.update.weights + member_ * d_.update.width;
    const Places& at = d_.places;
    Problem<Real> p{};
    p.kind = d_.kind;
    p.members = 1, p.time = time, p.batch = rows_, p.channels = d_.channels + d_.columns, p.hidden = d_.hidden;
    p.x = workspace_.x, p.x_time = p.batch * p.channels, p.x_batch = p.channels, p.x_channel = 1;
    p.w_ih = weights + at.w_ih(), p.w_hh = weights + at.w_hh(), p.b_ih = weights + at.b_ih(),
    p.b_hh = weights + at.b_hh();
    p.h_n = workspace_.h_n, p.c_n = workspace_.c_n, p.reserve = workspace_.reserve;
    recurrent_forward(p, workspace_.lengths.data(), team_, isa_);

    const Real* const mask = mask_at(step);
    multiply(workspace_.h_n, mask);

    Readout<Real> r{};
    r.members = 1, r.rows = rows_, r.inputs = d_.hidden, r.outputs = d_.outputs;
    r.x = workspace_.h_n, r.weight = weights + at.readout_weight(), r.bias = weights + at.readout_bias(),
    r.y = workspace_.y;
    readout_forward(r, team_, isa_);

    Losses<Real> l{};
    l.loss = d_.loss, l.rows = rows_, l.outputs = d_.outputs, l.y = workspace_.y, l.targets = workspace_.targets.data();
    l.losses = workspace_.losses, l.share = workspace_.share, l.dy = workspace_.dy;
    loss_forward(l, team_, isa_);  // the data's loss: smoothing is the gradient's alone, as weight decay is
    reduce_loss();
    if (d_.smoothing) l.smoothing = d_.smoothing + member_, l.rows_smoothing = rows_;
    loss_backward(l, team_, isa_);

    r.dy = workspace_.dy, r.dx = workspace_.dh_n;
    r.dweight = workspace_.grads + at.readout_weight(), r.dbias = workspace_.grads + at.readout_bias();
    readout_backward(r, team_, isa_);
    multiply(workspace_.dh_n, mask);
    p.dh_n = workspace_.dh_n;
    p.dw_ih = workspace_.grads + at.w_ih(), p.dw_hh = workspace_.grads + at.w_hh();
    p.db_ih = workspace_.grads + at.b_ih(), p.db_hh = workspace_.grads + at.b_hh();
    if (d_.dh_norms) p.dh_norms = workspace_.dh_squares.data();
    if (d_.dc_norms) p.dc_norms = workspace_.dc_squares.data();
    recurrent_backward(p, workspace_.lengths.data(), team_, isa_);
  }

  // What is asked for beside the step itself.
  void measure(int64_t step, int64_t time) {
    const int64_t members = d_.update.members;
    if (d_.tensor_norms) {
      tensor_norms(workspace_.grads, d_.update.width, d_.places.at, Places::tensors,
                   d_.tensor_norms + ((d_.first_step + step) * members + member_) * Places::tensors, isa_);
    }
    const int64_t rows = std::min(d_.rows, d_.positions);
    const auto copy = [&](const std::vector<double>& squares, double* norms) {
      if (!norms) return;
      double* to = norms + (step * members + member_) * d_.norms_time * rows;
      for (int64_t t = 0; t < time; ++t, to += rows) std::copy_n(squares.data() + t * rows_, rows_, to);
    };
    copy(workspace_.dh_squares, d_.dh_norms);
    copy(workspace_.dc_squares, d_.dc_norms);
  }

  // Each row's share of the mean, and the sums of the pass.
  void reduce_loss() {
    double weight = 0, loss = 0;
    for (int64_t row = 0; row < rows_; ++row) {
      const double own = workspace_.weights[row];
      weight += own;
      if (own > 0) loss += static_cast<double>(workspace_.losses[row]) * own;
    }
    const double least = std::max(weight, std::numeric_limits<double>::min());
    for (int64_t row = 0; row < rows_; ++row)
      workspace_.share[row] = static_cast<Real>(workspace_.weights[row] / least);
    d_.loss_sums[member_] += loss;
    d_.weight_sums[member_] += weight;
  }

  void update(int64_t step) {
    const uint8_t active = 1;
    const int64_t row = member_ * d_.update.width;
    Update<Real> u = d_.update;
    u.norms += (d_.first_step + step) * u.members + member_;
    u.members = 1;
    u.weights += row, u.decay += row, u.exp_avg += row;
    if (u.exp_avg_sq) u.exp_avg_sq += row;
    u.grads = workspace_.grads, u.active = &active;
    u.steps += member_, u.lr += member_, u.momentum += member_, u.max_norm += member_;
    take_step(u, team_, isa_);
  }

  const FusedSteps<Source, Real>& d_;
  const int64_t member_;
  int64_t rows_ = 0;  // of the step at hand
  Workspace<Real>& workspace_;
  const ThreadTeam team_;
  const std::string& isa_;
};

template <class Source, class Real>
int64_t longest_series(const FusedSteps<Source, Real>& d) {
  int64_t longest = 1;
  for (int64_t member = 0; member < d.update.members; ++member) {
    const int64_t* order = d.order + member * d.positions;
    const int64_t end = std::min((d.first_step + d.steps) * d.rows, d.positions);
    for (int64_t i = d.first_step * d.rows; i < end; ++i) {
      if (order[i] >= 0) longest = std::max(longest, d.lengths[d.series[member * d.sample_size + order[i]]]);
    }
  }
  return longest;
}

// The first exception of several threads, thrown again in the caller's.
class Failure {
 public:
  template <class Call>
  void keep(const Call& call) {
    try {
      call();
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!first_) first_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace

template <class Source, class Real>
void train_steps(const FusedSteps<Source, Real>& d, const ThreadTeam& team, const std::string& isa) {
  const DenormalMode mode(Denormals::kept);  // for what lies between the passes, as in a step of single passes
  const int64_t members = d.update.members, time = longest_series(d);
  // Members that no full round of threads is left for take the threads one after the other.
  const int64_t side_by_side = members / team.threads * team.threads;
  std::vector<std::unique_ptr<Workspace<Real>>> workspaces;
  for (int64_t i = 0; i < (side_by_side ? team.threads : 1); ++i) {
    workspaces.push_back(std::make_unique<Workspace<Real>>(d, time));
  }
  Failure failure;
  parallel_for(
      side_by_side, team,
      [&](int64_t member, int worker) {
        failure.keep([&] { Member<Source, Real>(d, member, *workspaces[worker], {1, false}, isa).take_steps(); });
      },
      Denormals::kept);
  failure.rethrow();
  for (int64_t member = side_by_side; member < members; ++member) {
    Member<Source, Real>(d, member, *workspaces[0], team, isa).take_steps();
  }
}

template void train_steps<float, float>(const FusedSteps<float, float>&, const ThreadTeam&, const std::string&);
template void train_steps<double, double>(const FusedSteps<double, double>&, const ThreadTeam&, const std::string&);
template void train_steps<double, float>(const FusedSteps<double, float>&, const ThreadTeam&, const std::string&);

}  // namespace throughtime
