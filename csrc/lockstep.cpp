#include "lockstep.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "dispatch.h"

namespace throughtime {
namespace {

// Weights that one task takes. A constant: the squares are summed piece by piece.
constexpr int64_t piece = 4096;

template <class Real>
Factors<Real> factors(const Update<Real>& u, int64_t member, Real norm) {
  Factors<Real> f{};
  // A norm of zero gives inf and leaves the gradient, one of inf gives zero; a gradient that is not finite stays so.
  f.clip = u.max_norm[member] / norm;
  if (f.clip > 1) f.clip = 1;
  f.rate = u.lr[member], f.momentum = u.momentum[member];
  f.beta1 = static_cast<Real>(u.beta1), f.rest1 = static_cast<Real>(1 - u.beta1);
  f.beta2 = static_cast<Real>(u.beta2), f.rest2 = static_cast<Real>(1 - u.beta2);
  f.epsilon = static_cast<Real>(u.epsilon);
  const double taken = u.steps[member];
  f.bias_correction2 = static_cast<Real>(std::pow(1 - std::pow(u.beta2, taken), 0.5));
  f.ratio = f.rate / static_cast<Real>(1 - std::pow(u.beta1, taken));
  return f;
}

// A product of positive numbers of any size: that of their mantissas, in lanes, and the sum of their exponents.
class Product {
 public:
  static constexpr int64_t lanes = 4;

  // Factors of the lanes in turn; a lane holds `most` between two calls of `settle`.
  template <class Factor>
  void times(int64_t count, const Factor& factor) {
    for (int64_t begin = 0; begin < count; begin += most * lanes) {
      const int64_t end = std::min(begin + most * lanes, count);
      double lane[lanes] = {lanes_[0], lanes_[1], lanes_[2], lanes_[3]};
      int64_t i = begin;
      for (; i + lanes <= end; i += lanes) {
        for (int64_t k = 0; k < lanes; ++k) lane[k] *= mantissa(factor(i + k));
      }
      for (int64_t k = 0; i < end; ++i, ++k) lane[k] *= mantissa(factor(i));
      std::copy_n(lane, lanes, lanes_);
      settle();
    }
  }
  // Whether every factor was finite, above zero and not denormal.
  bool in_range() const { return !out_; }
  double log() const {
    return std::log((lanes_[0] * lanes_[1]) * (lanes_[2] * lanes_[3])) + static_cast<double>(exponents_) * ln2;
  }

 private:
  static constexpr int64_t bias = 1023, most = 1000;
  static constexpr double ln2 = 0.693147180559945309417;

  // From 1 up to 2; takes note of the exponent.
  double mantissa(double factor) {
    uint64_t bits;
    std::memcpy(&bits, &factor, sizeof bits);
    const int64_t exponent = static_cast<int64_t>(bits >> 52);  // below zero, the sign makes it too large
    out_ |= static_cast<uint64_t>(exponent - 1) >= 2 * bias;
    exponents_ += exponent - bias;
    bits = (bits & ((uint64_t{1} << 52) - 1)) | (static_cast<uint64_t>(bias) << 52);
    std::memcpy(&factor, &bits, sizeof factor);
    return factor;
  }
  void settle() {
    for (double& lane : lanes_) {
      int exponent;
      lane = std::frexp(lane, &exponent);
      exponents_ += exponent;
    }
  }

  double lanes_[lanes] = {1, 1, 1, 1};
  int64_t exponents_ = 0;
  bool out_ = false;
};

}  // namespace

void log_means(const double* squares, int64_t time, int64_t batch, const int64_t* lengths, const int64_t* lags,
               int64_t count, bool reverse, double* means) {
  const DenormalMode mode(Denormals::kept);
  constexpr double ln10 = 2.302585092994045684018;
  bool over = false;  // beyond an overflow all is NaN (0 * inf), though the weights, not the data, are at fault
  for (int64_t i = 0; i < count; ++i) {
    const int64_t lag = lags[i];
    // A series without this lag is a factor of one.
    const auto own = [&](int64_t b) {
      const int64_t length = std::min(lengths[b], time);
      return lag < length ? squares[(reverse ? lag : length - 1 - lag) * batch + b] : 1.0;
    };
    int64_t there = 0;
    for (int64_t b = 0; b < batch; ++b) there += lag < std::min(lengths[b], time);
    if (lag < 0 || !there) {
      means[i] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    Product product;
    product.times(batch, own);
    double sum = product.log();
    if (!product.in_range()) {
      sum = 0;
      for (int64_t b = 0; b < batch; ++b) {
        over = over || std::isinf(own(b));
        sum += std::log(own(b));
      }
    }
    means[i] = over ? std::numeric_limits<double>::infinity() : sum / (2 * ln10 * static_cast<double>(there));
  }
}

template <class Real>
void take_step(const Update<Real>& u, const ThreadTeam& team, const std::string& isa) {
  const DenormalMode mode(Denormals::kept);  // for the members' own numbers; the tasks flush
  const Kernels<Real>& k = kernels<Real>(isa);
  const int64_t pieces = (u.width + piece - 1) / piece;
  const ThreadTeam enough = of_worth(team, 5 * u.members * u.width);
  std::vector<double> sums(u.members * pieces);
  parallel_for(u.members * pieces, enough, [&](int64_t task, int) {
    const int64_t member = task / pieces, begin = task % pieces * piece;
    sums[task] = k.square_sum(u.grads + member * u.width + begin, std::min(piece, u.width - begin));
  });
  std::vector<Factors<Real>> each(u.members);
  for (int64_t member = 0; member < u.members; ++member) {
    double sum = 0;
    for (int64_t i = 0; i < pieces; ++i) sum += sums[member * pieces + i];
    u.norms[member] = static_cast<Real>(std::sqrt(sum));
    if (!u.active[member]) continue;
    u.steps[member] += 1;
    each[member] = factors(u, member, u.norms[member]);
  }
  parallel_for(u.members * pieces, enough, [&](int64_t task, int) {
    const int64_t member = task / pieces, begin = task % pieces * piece;
    if (!u.active[member]) return;
    k.update(u, each[member], member * u.width + begin, member * u.width + std::min(begin + piece, u.width));
  });
}

template <class Real>
void tensor_norms(const Real* grads, int64_t width, const int64_t* begins, int64_t tensors, double* norms,
                  const std::string& isa) {
  const DenormalMode mode(Denormals::kept);
  const Kernels<Real>& k = kernels<Real>(isa);
  for (int64_t i = 0; i < tensors; ++i) {
    const int64_t end = i + 1 < tensors ? begins[i + 1] : width;
    norms[i] = std::sqrt(k.square_sum(grads + begins[i], end - begins[i]));
  }
}

template <class Source, class Real>
void gather(const Gather<Source, Real>& g, const ThreadTeam& team, const std::string& isa) {
  // Kept: a channel of the data may be as small as that, and is itself again once divided by its scale.
  const Kernels<Real>& k = kernels<Real>(isa);
  const int64_t numbers = g.members * g.time * g.batch * (g.channels + g.columns);
  parallel_for(
      g.members * g.time, of_worth(team, numbers),
      [&](int64_t task, int) {
        if constexpr (sizeof(Source) == sizeof(Real)) {
          k.gather(g, task / g.time, task % g.time);
        } else {
          k.gather_wide(g, task / g.time, task % g.time);
        }
      },
      Denormals::kept);
}

template void tensor_norms<float>(const float*, int64_t, const int64_t*, int64_t, double*, const std::string&);
template void tensor_norms<double>(const double*, int64_t, const int64_t*, int64_t, double*, const std::string&);
template void take_step<float>(const Update<float>&, const ThreadTeam&, const std::string&);
template void take_step<double>(const Update<double>&, const ThreadTeam&, const std::string&);
template void gather<float, float>(const Gather<float, float>&, const ThreadTeam&, const std::string&);
template void gather<double, double>(const Gather<double, double>&, const ThreadTeam&, const std::string&);
template void gather<double, float>(const Gather<double, float>&, const ThreadTeam&, const std::string&);

}  // namespace throughtime
