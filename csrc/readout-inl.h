// The linear output layer and the losses. Small beside the recurrence: a vector at a time, no tiles.
#pragma once

#include "readout.h"
#include "simd-inl.h"

namespace throughtime {
namespace TT_ISA {

template <class Real>
void readout_forward(const Readout<Real>& r, int64_t member) {
  constexpr int W = width<Real>;
  const Real* weight = r.weight + member * r.outputs * r.inputs;
  const Real* bias = r.bias + member * r.outputs;
  for (int64_t row = member * r.rows; row < (member + 1) * r.rows; ++row) {
    const Real* x = r.x + row * r.inputs;
    for (int64_t output = 0; output < r.outputs; ++output) {
      const Real* w = weight + output * r.inputs;
      Vec<Real> sum = {};
      int64_t k = 0;
      for (; k + W <= r.inputs; k += W) sum = fma(load(x + k), load(w + k), sum);
      if (k < r.inputs) sum = fma(load_first(x + k, r.inputs - k), load_first(w + k, r.inputs - k), sum);
      r.y[row * r.outputs + output] = bias[output] + sum_lanes<Real>(sum);
    }
  }
}

// out = sum over `count` of factors[i * step] * vectors[i * stride], both in order.
template <class Real>
TT_INLINE void weighted_sum(const Real* factors, int64_t step, const Real* vectors, int64_t stride, int64_t count,
                            int64_t size, Real* out) {
  constexpr int W = width<Real>;
  for (int64_t k = 0; k < size; k += W) {
    Vec<Real> sum = {};
    for (int64_t i = 0; i < count; ++i) {
      sum = fma(splat<Real>(factors[i * step]), load_first(vectors + i * stride + k, size - k), sum);
    }
    store_first(out + k, sum, size - k);
  }
}

template <class Real>
void readout_backward(const Readout<Real>& r, int64_t member) {
  const Real* x = r.x + member * r.rows * r.inputs;
  const Real* dy = r.dy + member * r.rows * r.outputs;
  const Real* weight = r.weight + member * r.outputs * r.inputs;
  for (int64_t row = 0; row < r.rows; ++row) {
    weighted_sum(dy + row * r.outputs, 1, weight, r.inputs, r.outputs, r.inputs,
                 r.dx + (member * r.rows + row) * r.inputs);
  }
  for (int64_t output = 0; output < r.outputs; ++output) {
    weighted_sum(dy + output, r.outputs, x, r.inputs, r.rows, r.inputs,
                 r.dweight + (member * r.outputs + output) * r.inputs);
    Real sum = 0;
    for (int64_t row = 0; row < r.rows; ++row) sum += dy[row * r.outputs + output];
    r.dbias[member * r.outputs + output] = sum;
  }
}

// The mean over the classes of how far each logit is above `most`, in their order.
template <class Real>
inline Real mean_above(const Real* logits, int64_t count, Real most) {
  Real sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += logits[i] - most;
  return sum / static_cast<Real>(count);
}

// The largest of a row's logits and the sum of the powers of e of what each is below it.
template <class Real>
struct Spread {
  Real most, sum;

  static inline Spread of(const Real* logits, int64_t count) {
    Spread s{logits[0], 0};
    for (int64_t i = 1; i < count; ++i) s.most = logits[i] > s.most ? logits[i] : s.most;
    for (int64_t i = 0; i < count; i += width<Real>) {
      const Vec<Real> power = exp<Real>(load_first(logits + i, count - i) - s.most);
      s.sum += sum_lanes<Real>(lanes_below<Real>(count - i) ? power : Vec<Real>{});
    }
    return s;
  }
};

template <class Real>
void loss_forward(const Losses<Real>& l, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const Real* y = l.y + row * l.outputs;
    if (l.loss == Loss::cross_entropy) {
      const Spread<Real> s = Spread<Real>::of(y, l.outputs);
      const Real log_sum = static_cast<Real>(__builtin_log(static_cast<double>(s.sum)));
      const Real smoothing = l.smoothing_at(row);
      Real wanted = y[static_cast<int64_t>(l.targets[row])] - s.most;
      if (smoothing > 0) wanted = (1 - smoothing) * wanted + smoothing * mean_above(y, l.outputs, s.most);
      l.losses[row] = log_sum - wanted;
    } else {
      const Real error = y[0] - static_cast<Real>(l.targets[row]);
      l.losses[row] = error * error;
    }
  }
}

template <class Real>
void loss_backward(const Losses<Real>& l, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const Real* y = l.y + row * l.outputs;
    Real* dy = l.dy + row * l.outputs;
    const Real share = l.share[row];
    if (share == 0) {
      for (int64_t i = 0; i < l.outputs; ++i) dy[i] = 0;
    } else if (l.loss == Loss::cross_entropy) {
      const Spread<Real> s = Spread<Real>::of(y, l.outputs);
      const Real smoothing = l.smoothing_at(row), of_each = smoothing / static_cast<Real>(l.outputs);
      for (int64_t i = 0; i < l.outputs; i += width<Real>) {
        const Vec<Real> power = exp<Real>(load_first(y + i, l.outputs - i) - s.most);
        store_first(dy + i, (power / s.sum - of_each) * share, l.outputs - i);
      }
      dy[static_cast<int64_t>(l.targets[row])] -= (1 - smoothing) * share;
    } else {
      dy[0] = 2 * (y[0] - static_cast<Real>(l.targets[row])) * share;
    }
  }
}

}  // namespace TT_ISA
}  // namespace throughtime
