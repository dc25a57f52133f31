// One instruction set's table of kernels. A kernel_*.cpp defines TT_ISA and includes this.
#pragma once

#include "backward-inl.h"
#include "lockstep-inl.h"
#include "readout-inl.h"

namespace throughtime {
namespace TT_ISA {

template <class Real>
void activation(int name, const Real* in, Real* out, int64_t count) {
  for (int64_t i = 0; i < count; i += width<Real>) {
    const Vec<Real> x = load_first(in + i, count - i);
    const Vec<Real> y = name == activation_exp       ? exp<Real>(x)
                        : name == activation_sigmoid ? sigmoid<Real>(x)
                                                     : tanh<Real>(x);
    store_first(out + i, y, count - i);
  }
}

// Ten chains: two pipes of latency four need eight, and sixteen registers hold no more than ten with the operands.
template <class Real>
double fma_loop(int64_t iterations) {
  constexpr int chains = 10;
  Vec<Real> acc[chains];
  TT_UNROLL
  for (int i = 0; i < chains; ++i) acc[i] = splat<Real>(Real(i));
  Vec<Real> a = splat<Real>(Real(0.5)), b = splat<Real>(Real(0.25));
  __asm__ volatile("" : "+m"(a), "+m"(b));  // or the loop would be computed at compile time
  for (int64_t n = 0; n < iterations; ++n) {
    TT_UNROLL
    for (int i = 0; i < chains; ++i) acc[i] = fma(acc[i], a, b);
  }
  for (int i = 0; i < chains; ++i) __asm__ volatile("" : : "m"(acc[i]));
  return 2.0 * chains * width<Real> * static_cast<double>(iterations);
}

// The kind is a template parameter below this line and a value above it.
#define TT_BY_KIND(call)                    \
  switch (p.kind) {                         \
    case Kind::rnn_tanh: {                  \
      constexpr Kind kind = Kind::rnn_tanh; \
      return call;                          \
    }                                       \
    case Kind::rnn_relu: {                  \
      constexpr Kind kind = Kind::rnn_relu; \
      return call;                          \
    }                                       \
    case Kind::gru: {                       \
      constexpr Kind kind = Kind::gru;      \
      return call;                          \
    }                                       \
    default: {                              \
      constexpr Kind kind = Kind::lstm;     \
      return call;                          \
    }                                       \
  }

template <class Real>
Kernels<Real> table() {
  using P = const Problem<Real>&;
  Kernels<Real> k;
  k.forward_panels = [](P p) -> int64_t { TT_BY_KIND((forward_panels<Real, kind>(p))) };
  k.forward_packed = [](P p) -> int64_t { TT_BY_KIND((forward_packed<Real, kind>(p))) };
  k.forward_scratch = [](P p, int rows) -> int64_t { TT_BY_KIND((forward_scratch<Real, kind>(p, rows))) };
  k.pack_forward = [](P p, int64_t member, int64_t panel, Real* packed) {
    TT_BY_KIND((pack_forward<Real, kind>(p, member, panel, packed)))
  };
  k.forward = [](P p, const Block& b, const Real* packed, Real* scratch) {
    TT_BY_KIND((forward<Real, kind>(p, b, packed, scratch)))
  };
  k.backward_panels = [](P p) -> int64_t { TT_BY_KIND((backward_panels<Real, kind>(p))) };
  k.backward_packed = [](P p) -> int64_t { TT_BY_KIND((backward_packed<Real, kind>(p))) };
  k.backward_scratch = [](P p, int rows) -> int64_t { TT_BY_KIND((backward_scratch<Real, kind>(p, rows))) };
  k.partial = [](P p) -> int64_t { TT_BY_KIND((throughtime::TT_ISA::partial<Real, kind>(p))) };
  k.pack_backward = [](P p, int64_t member, int64_t panel, Real* packed) {
    TT_BY_KIND((pack_backward<Real, kind>(p, member, panel, packed)))
  };
  k.backward = [](P p, const Block& b, const Real* packed, const Real* forward_packed, Real* part, Real* scratch) {
    TT_BY_KIND((backward<Real, kind>(p, b, packed, forward_packed, part, scratch)))
  };
  k.reduce_pieces = [](P p) -> int64_t { TT_BY_KIND((reduce_pieces<Real, kind>(p))) };
  k.reduce = [](P p, int64_t member, int64_t piece, const Real* partials, int64_t blocks) {
    TT_BY_KIND((reduce<Real, kind>(p, member, piece, partials, blocks)))
  };
  k.square_sum = square_sum<Real>;
  k.update = update<Real>;
  k.gather = gather<Real, Real>;
  k.gather_wide = gather<double, Real>;
  k.readout_forward = readout_forward<Real>;
  k.readout_backward = readout_backward<Real>;
  k.loss_forward = loss_forward<Real>;
  k.loss_backward = loss_backward<Real>;
  k.activation = activation<Real>;
  k.fma_loop = fma_loop<Real>;
  return k;
}

void fill_tables(Kernels<float>& f32, Kernels<double>& f64) {
  f32 = table<float>();
  f64 = table<double>();
}

}  // namespace TT_ISA
}  // namespace throughtime
