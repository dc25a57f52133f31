// The extension module. Tensors come as integer addresses with sizes and strides that kernels/native has checked:
// nothing here knows of torch, so one build serves every version of it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "dispatch.h"
#include "fused_steps.h"
#include "lockstep.h"
#include "memory.h"
#include "pool.h"
#include "readout.h"
#include "recurrent.h"

namespace nb = nanobind;
using namespace throughtime;

namespace {

Kind kind_named(const std::string& name) {
  if (name == "rnn_tanh") return Kind::rnn_tanh;
  if (name == "rnn_relu") return Kind::rnn_relu;
  if (name == "gru") return Kind::gru;
  if (name == "lstm") return Kind::lstm;
  throw std::invalid_argument("kind needs one of rnn_tanh, rnn_relu, gru, lstm, got " + name);
}

template <class Real>
Real* pointer(uintptr_t address) {
  return reinterpret_cast<Real*>(address);
}

using Strides = std::vector<int64_t>;
using Addresses = std::vector<uintptr_t>;

template <class Real>
Problem<Real> problem(const std::string& kind, bool reverse, const Strides& shape, uintptr_t x,
                      const Strides& x_strides, const Addresses& weights) {
  Problem<Real> p{};
  p.kind = kind_named(kind);
  p.reverse = reverse;
  p.members = shape.at(0), p.time = shape.at(1), p.batch = shape.at(2), p.channels = shape.at(3),
  p.hidden = shape.at(4);
  p.x = pointer<const Real>(x);
  p.x_member = x_strides.at(0), p.x_time = x_strides.at(1), p.x_batch = x_strides.at(2), p.x_channel = x_strides.at(3);
  p.w_ih = pointer<const Real>(weights.at(0)), p.w_hh = pointer<const Real>(weights.at(1));
  p.b_ih = pointer<const Real>(weights.at(2)), p.b_hh = pointer<const Real>(weights.at(3));
  p.h0 = pointer<const Real>(weights.at(4)), p.c0 = pointer<const Real>(weights.at(5));
  p.recurrent_mask = pointer<const Real>(weights.at(6)), p.candidate_mask = pointer<const Real>(weights.at(7));
  p.zoneout_h = pointer<const Real>(weights.at(8)), p.zoneout_c = pointer<const Real>(weights.at(9));
  return p;
}

// Where the forward pass keeps what the backward pass reads: of every step, or where segments begin. 0: nowhere.
template <class Real>
void keep_in(Problem<Real>& p, int64_t segment, uintptr_t kept) {
  p.segment = segment;
  (segment ? p.checkpoints : p.reserve) = pointer<Real>(kept);
}

template <class Real>
void forward(const std::string& kind, bool reverse, int64_t segment, const Strides& shape, uintptr_t x,
             const Strides& x_strides, const Addresses& weights, uintptr_t lengths, const Addresses& out, int threads,
             bool of_torch) {
  Problem<Real> p = problem<Real>(kind, reverse, shape, x, x_strides, weights);
  p.y = pointer<Real>(out.at(0)), p.h_n = pointer<Real>(out.at(1)), p.c_n = pointer<Real>(out.at(2));
  keep_in(p, segment, out.at(3));
  nb::gil_scoped_release released;
  recurrent_forward(p, pointer<const int64_t>(lengths), {threads, of_torch}, isa_wanted());
}

template <class Real>
void backward(const std::string& kind, bool reverse, int64_t segment, const Strides& shape, uintptr_t x,
              const Strides& x_strides, const Addresses& weights, uintptr_t lengths, uintptr_t kept,
              const Addresses& grads, const Strides& dy_strides, const Addresses& out, int threads, bool of_torch) {
  Problem<Real> p = problem<Real>(kind, reverse, shape, x, x_strides, weights);
  keep_in(p, segment, kept);
  p.dy = pointer<const Real>(grads.at(0)), p.dh_n = pointer<const Real>(grads.at(1));
  p.dc_n = pointer<const Real>(grads.at(2));
  p.dy_member = dy_strides.at(0), p.dy_time = dy_strides.at(1), p.dy_batch = dy_strides.at(2);
  p.dx = pointer<Real>(out.at(0)), p.dw_ih = pointer<Real>(out.at(1)), p.dw_hh = pointer<Real>(out.at(2));
  p.db_ih = pointer<Real>(out.at(3)), p.db_hh = pointer<Real>(out.at(4));
  p.dh0 = pointer<Real>(out.at(5)), p.dc0 = pointer<Real>(out.at(6));
  p.dh_norms = pointer<double>(out.at(7)), p.dc_norms = pointer<double>(out.at(8));
  nb::gil_scoped_release released;
  recurrent_backward(p, pointer<const int64_t>(lengths), {threads, of_torch}, isa_wanted());
}

Rule rule_named(const std::string& name) {
  if (name == "adam") return Rule::adam;
  if (name == "adamw") return Rule::adamw;
  if (name == "sgd") return Rule::sgd;
  throw std::invalid_argument("rule needs one of adam, adamw, sgd, got " + name);
}

// What an optimizer's step reads and writes but for the gradients, in kernels/native/training.py's order.
template <class Real>
Update<Real> update_of(const std::string& rule, const Strides& shape, const std::array<double, 3>& constants,
                       const Addresses& tensors) {
  Update<Real> u{};
  u.rule = rule_named(rule);
  u.members = shape.at(0), u.width = shape.at(1);
  u.beta1 = constants[0], u.beta2 = constants[1], u.epsilon = constants[2];
  u.weights = pointer<Real>(tensors.at(0)), u.decay = pointer<const Real>(tensors.at(1));
  u.exp_avg = pointer<Real>(tensors.at(2)), u.exp_avg_sq = pointer<Real>(tensors.at(3));
  u.steps = pointer<double>(tensors.at(4));
  u.lr = pointer<const Real>(tensors.at(5)), u.momentum = pointer<const Real>(tensors.at(6));
  u.max_norm = pointer<const Real>(tensors.at(7));
  return u;
}

template <class Real>
void step(const std::string& rule, const Strides& shape, const std::array<double, 3>& constants,
          const Addresses& update, const Addresses& tensors, int threads, bool of_torch) {
  Update<Real> u = update_of<Real>(rule, shape, constants, update);
  u.grads = pointer<const Real>(tensors.at(0)), u.active = pointer<const uint8_t>(tensors.at(1));
  u.norms = pointer<Real>(tensors.at(2));
  nb::gil_scoped_release released;
  take_step(u, {threads, of_torch}, isa_wanted());
}

// Of every member: grads, norms.
template <class Real>
void norms_by_tensor(const Strides& shape, const Strides& begins, const Addresses& tensors) {
  const Real* grads = pointer<const Real>(tensors.at(0));
  double* norms = pointer<double>(tensors.at(1));
  const int64_t width = shape.at(1), count = static_cast<int64_t>(begins.size());
  nb::gil_scoped_release released;
  for (int64_t member = 0; member < shape.at(0); ++member) {
    tensor_norms(grads + member * width, width, begins.data(), count, norms + member * count, isa_wanted());
  }
}

// Of every member: squares, lengths, lags, means.
void log_means_of(const Strides& shape, bool reverse, const Addresses& tensors) {
  const int64_t members = shape.at(0), time = shape.at(1), batch = shape.at(2), count = shape.at(3);
  const double* squares = pointer<const double>(tensors.at(0));
  const int64_t *lengths = pointer<const int64_t>(tensors.at(1)), *lags = pointer<const int64_t>(tensors.at(2));
  double* means = pointer<double>(tensors.at(3));
  nb::gil_scoped_release released;
  for (int64_t member = 0; member < members; ++member) {
    log_means(squares + member * time * batch, time, batch, lengths + member * batch, lags + member * count, count,
              reverse, means + member * count);
  }
}

template <class Source, class Real>
void load_batch(const Strides& shape, const Addresses& tensors, int threads, bool of_torch) {
  Gather<Source, Real> g{};
  g.members = shape.at(0), g.time = shape.at(1), g.batch = shape.at(2), g.channels = shape.at(3),
  g.columns = shape.at(4);
  g.values = pointer<const Source>(tensors.at(0)), g.constants = pointer<const Source>(tensors.at(1));
  g.begins = pointer<const int64_t>(tensors.at(2)), g.lengths = pointer<const int64_t>(tensors.at(3));
  g.series = pointer<const int64_t>(tensors.at(4));
  g.shift = pointer<const Source>(tensors.at(5)), g.scale = pointer<const Source>(tensors.at(6));
  g.x = pointer<Real>(tensors.at(7));
  g.noise_channels = shape.at(5), g.noise_time = shape.at(6), g.noise_rows = shape.at(7);
  g.noise_of = pointer<const int64_t>(tensors.at(8)), g.noise = pointer<const Real>(tensors.at(9));
  nb::gil_scoped_release released;
  gather(g, {threads, of_torch}, isa_wanted());
}

Loss loss_named(const std::string& name) {
  if (name == "cross_entropy") return Loss::cross_entropy;
  if (name == "squared_error") return Loss::squared_error;
  throw std::invalid_argument("loss needs one of cross_entropy, squared_error, got " + name);
}

template <class Real, bool backwards>
void readout(const Strides& shape, const Addresses& tensors, int threads, bool of_torch) {
  Readout<Real> r{};
  r.members = shape.at(0), r.rows = shape.at(1), r.inputs = shape.at(2), r.outputs = shape.at(3);
  r.x = pointer<const Real>(tensors.at(0)), r.weight = pointer<const Real>(tensors.at(1));
  r.bias = pointer<const Real>(tensors.at(2));
  r.y = pointer<Real>(tensors.at(3)), r.dy = pointer<const Real>(tensors.at(4));
  r.dx = pointer<Real>(tensors.at(5)), r.dweight = pointer<Real>(tensors.at(6));
  r.dbias = pointer<Real>(tensors.at(7));
  nb::gil_scoped_release released;
  (backwards ? readout_backward<Real> : readout_forward<Real>)(r, {threads, of_torch}, isa_wanted());
}

template <class Real, bool backwards>
void loss(const std::string& name, const Strides& shape, const Addresses& tensors, int threads, bool of_torch) {
  Losses<Real> l{};
  l.loss = loss_named(name);
  l.rows = shape.at(0), l.outputs = shape.at(1);
  l.y = pointer<const Real>(tensors.at(0)), l.targets = pointer<const double>(tensors.at(1));
  l.losses = pointer<Real>(tensors.at(2)), l.share = pointer<const Real>(tensors.at(3));
  l.dy = pointer<Real>(tensors.at(4));
  l.smoothing = pointer<const Real>(tensors.at(5)), l.rows_smoothing = shape.at(2);
  nb::gil_scoped_release released;
  (backwards ? loss_backward<Real> : loss_forward<Real>)(l, {threads, of_torch}, isa_wanted());
}

template <class Source, class Real>
void descend(const std::string& kind, const std::string& loss, const std::string& rule, const Strides& shape,
             const Strides& update_shape, const std::array<double, 3>& constants,
             const std::array<int64_t, Places::tensors>& places, const Addresses& update, const Addresses& tensors,
             int threads, bool of_torch) {
  FusedSteps<Source, Real> d{};
  d.kind = kind_named(kind), d.loss = loss_named(loss);
  d.channels = shape.at(0), d.columns = shape.at(1), d.hidden = shape.at(2), d.outputs = shape.at(3);
  d.rows = shape.at(4), d.positions = shape.at(5), d.sample_size = shape.at(6);
  d.first_step = shape.at(7), d.steps = shape.at(8), d.norms_time = shape.at(9);
  d.noise_channels = shape.at(10), d.noise_time = shape.at(11);
  std::copy(places.begin(), places.end(), d.places.at);
  d.values = pointer<const Source>(tensors.at(0)), d.constants = pointer<const Source>(tensors.at(1));
  d.starts = pointer<const int64_t>(tensors.at(2)), d.lengths = pointer<const int64_t>(tensors.at(3));
  d.series = pointer<const int64_t>(tensors.at(4));
  d.targets = pointer<const double>(tensors.at(5)), d.weights = pointer<const double>(tensors.at(6));
  d.order = pointer<const int64_t>(tensors.at(7));
  d.shift = pointer<const Source>(tensors.at(8)), d.scale = pointer<const Source>(tensors.at(9));
  d.loss_sums = pointer<double>(tensors.at(10)), d.weight_sums = pointer<double>(tensors.at(11));
  d.update = update_of<Real>(rule, update_shape, constants, update);
  d.update.norms = pointer<Real>(tensors.at(12));
  d.tensor_norms = pointer<double>(tensors.at(13));
  d.dh_norms = pointer<double>(tensors.at(14)), d.dc_norms = pointer<double>(tensors.at(15));
  d.mask_of = pointer<const int64_t>(tensors.at(16)), d.masks = pointer<const Real>(tensors.at(17));
  d.noise_of = pointer<const int64_t>(tensors.at(18)), d.noise = pointer<const Real>(tensors.at(19));
  d.smoothing = pointer<const Real>(tensors.at(20));
  nb::gil_scoped_release released;
  train_steps(d, {threads, of_torch}, isa_wanted());
}

// A tensor of bytes on borrowed memory, which goes back when torch frees the storage.
nb::ndarray<nb::pytorch, uint8_t, nb::ndim<1>> borrow_bytes(size_t bytes) {
  void* memory = borrow(bytes);
  nb::capsule owner(memory, [](void* p) noexcept { give_back(p); });
  return nb::ndarray<nb::pytorch, uint8_t, nb::ndim<1>>(memory, {bytes}, owner);
}

template <class Real>
void activate(const std::string& name, uintptr_t in, uintptr_t out, int64_t count, const std::string& isa) {
  const DenormalMode mode(Denormals::flushed);
  const int which = name == "exp" ? activation_exp : name == "sigmoid" ? activation_sigmoid : activation_tanh;
  kernels<Real>(isa).activation(which, pointer<const Real>(in), pointer<Real>(out), count);
}

// Operations per second of a loop of fma on registers: what the machine can do at most, on `threads` threads at once.
template <class Real>
double fma_peak(int threads, double seconds, const std::string& isa) {
  const Kernels<Real>& k = kernels<Real>(isa);
  nb::gil_scoped_release released;
  std::vector<double> done(threads, 0.0);
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  parallel_for(threads, {threads, false}, [&](int64_t task, int) {
    while (elapsed() < seconds) done[task] += k.fma_loop(100000);
  });
  double sum = 0;
  for (const double operations : done) sum += operations;
  return sum / elapsed();
}

}  // namespace

NB_MODULE(_native, m) {
  m.def("isa_names", &isa_names);
  m.def("forward_f32", &forward<float>);
  m.def("forward_f64", &forward<double>);
  m.def("backward_f32", &backward<float>);
  m.def("backward_f64", &backward<double>);
  m.def("step_f32", &step<float>);
  m.def("step_f64", &step<double>);
  m.def("tensor_norms_f32", &norms_by_tensor<float>);
  m.def("tensor_norms_f64", &norms_by_tensor<double>);
  m.def("log_means", &log_means_of);
  m.def("gather_f32", &load_batch<float, float>);
  m.def("gather_f64", &load_batch<double, double>);
  m.def("gather_f64_f32", &load_batch<double, float>);
  m.def("readout_forward_f32", &readout<float, false>);
  m.def("readout_forward_f64", &readout<double, false>);
  m.def("readout_backward_f32", &readout<float, true>);
  m.def("readout_backward_f64", &readout<double, true>);
  m.def("loss_forward_f32", &loss<float, false>);
  m.def("loss_forward_f64", &loss<double, false>);
  m.def("loss_backward_f32", &loss<float, true>);
  m.def("loss_backward_f64", &loss<double, true>);
  m.def("train_steps_f32", &descend<float, float>);
  m.def("train_steps_f64", &descend<double, double>);
  m.def("train_steps_f64_f32", &descend<double, float>);
  m.attr("interface") = 5;  // INTERFACE in kernels/native/extension.py
  m.def("reserve_stride", &reserve_stride);
  m.def("reserve_slots", [](const std::string& kind, bool kept) { return reserve_slots(kind_named(kind), kept); });
  m.def("block_rows", [](const std::string& kind, int64_t channels, int64_t hidden, size_t real_bytes) {
    return block_rows(kind_named(kind), channels, hidden, real_bytes);
  });
  m.def("borrow_bytes", &borrow_bytes);
  m.def("idle_bytes", &idle_bytes);
  m.def("release_idle", &release_idle);
  m.def("activation_f32", &activate<float>);
  m.def("activation_f64", &activate<double>);
  m.def("fma_peak_f32", &fma_peak<float>);
  m.def("fma_peak_f64", &fma_peak<double>);
}
