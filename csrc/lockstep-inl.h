// The training loop's passes over memory. Plain loops that the compiler vectorizes: with -ffp-contract=off and IEEE
// division and roots, each element is rounded alike in a vector and behind the last one.
#pragma once

#include "lockstep.h"
#include "simd-inl.h"

namespace throughtime {
namespace TT_ISA {

// Eight sums side by side, folded in order: which of them takes an element follows from its index alone.
template <class Real>
double square_sum(const Real* values, int64_t count) {
  constexpr int lanes = 8;
  double sums[lanes] = {};
  const auto square = [&](int64_t at) {
    const double value = static_cast<double>(values[at]);  // in float32 the square of 1e-19 is a denormal
    return value * value;
  };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int lane = 0; lane < lanes; ++lane) sums[lane] += square(i + lane);
  }
  for (int lane = 0; i < count; ++i, ++lane) sums[lane] += square(i);
  double sum = 0;
  for (const double one : sums) sum += one;
  return sum;
}

// Weights begin..end of a member. Its factors come by value: no store can be thought to change them.
template <class Real, Rule rule>
void update(const Update<Real>& u, const Factors<Real> f, int64_t begin, int64_t end) {
  Real* const __restrict weights = u.weights;
  Real* const __restrict exp_avg = u.exp_avg;
  Real* const __restrict exp_avg_sq = u.exp_avg_sq;
  const Real* const __restrict grads = u.grads;
  const Real* const __restrict decay = u.decay;
  for (int64_t i = begin; i < end; ++i) {
    const Real weight = weights[i], clipped = grads[i] * f.clip;
    if constexpr (rule == Rule::sgd) {
      exp_avg[i] = exp_avg[i] * f.momentum + (decay[i] * weight + clipped);
      weights[i] = weight - exp_avg[i] * f.rate;
    } else {
      const Real grad = rule == Rule::adamw ? clipped : decay[i] * weight + clipped;
      const Real moved = rule == Rule::adamw ? weight * (1 - f.rate * decay[i]) : weight;
      exp_avg[i] = exp_avg[i] * f.beta1 + grad * f.rest1;
      exp_avg_sq[i] = exp_avg_sq[i] * f.beta2 + grad * grad * f.rest2;
      const Real denom =
          (sizeof(Real) == 4 ? __builtin_sqrtf(exp_avg_sq[i]) : __builtin_sqrt(exp_avg_sq[i])) / f.bias_correction2;
      weights[i] = moved - exp_avg[i] / (denom + f.epsilon) * f.ratio;
    }
  }
}

template <class Real>
void update(const Update<Real>& u, const Factors<Real>& f, int64_t begin, int64_t end) {
  switch (u.rule) {
    case Rule::adam:
      return update<Real, Rule::adam>(u, f, begin, end);
    case Rule::adamw:
      return update<Real, Rule::adamw>(u, f, begin, end);
    default:
      return update<Real, Rule::sgd>(u, f, begin, end);
  }
}

// (value - shift) / scale in the precision of the values, a missing one at zero.
template <class Source, class Real>
TT_INLINE void standardize(const Source* values, const Source* shift, const Source* scale, int64_t count, Real* out) {
  for (int64_t i = 0; i < count; ++i) {
    const Source z = (values[i] - shift[i]) / scale[i];
    out[i] = z == z ? static_cast<Real>(z) : Real(0);
  }
}

template <class Source, class Real>
void gather(const Gather<Source, Real>& g, int64_t member, int64_t step) {
  const int64_t width = g.channels + g.columns;
  const Source *shift = g.shift + member * width, *scale = g.scale + member * width;
  Real* out = g.x + (member * g.time + step) * g.batch * width;
  const bool noisy = g.noise_of && g.noise_of[member] >= 0;
  const Real* noise =
      noisy ? g.noise + (g.noise_of[member] * g.noise_time + step) * g.noise_rows * g.noise_channels : nullptr;
  for (int64_t b = 0; b < g.batch; ++b, out += width) {
    const int64_t at = member * g.batch + b;
    if (step < g.lengths[at]) {
      const Source* values = g.values + (g.begins[at] + step) * g.channels;
      standardize(values, shift, scale, g.channels, out);
      for (int64_t i = 0; noise && i < g.noise_channels; ++i) {
        if (values[i] == values[i]) out[i] += noise[b * g.noise_channels + i];
      }
      if (g.columns) {
        standardize(g.constants + g.series[at] * g.columns, shift + g.channels, scale + g.channels, g.columns,
                    out + g.channels);
      }
    } else {
      for (int64_t i = 0; i < width; ++i) out[i] = 0;
    }
  }
}

}  // namespace TT_ISA
}  // namespace throughtime
