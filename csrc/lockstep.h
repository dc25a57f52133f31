// What the training loop does to all members' numbers between two calls of the op: fetch a batch, take a step of the
// optimizer. A member's results do not depend on its company or on the number of threads.
#pragma once

#include <cstdint>
#include <string>

#include "pool.h"

namespace throughtime {

enum class Rule : int { adam, adamw, sgd };

// Pointers are contiguous, the member axis first.
template <class Real>
struct Update {
  Rule rule;
  int64_t members, width;
  double beta1, beta2, epsilon;

  Real* weights;  // member weight
  const Real *grads, *decay;
  Real *exp_avg, *exp_avg_sq;            // moments, kept from step to step; sgd has the first alone
  double* steps;                         // member: taken so far
  const Real *lr, *momentum, *max_norm;  // member
  const uint8_t* active;                 // member: whether it takes this step
  Real* norms;                           // member: written for all, of the gradient before clipping
};

// One member's update in single numbers.
template <class Real>
struct Factors {
  Real clip, rate, momentum;
  Real beta1, rest1, beta2, rest2, epsilon;
  Real bias_correction2,
      ratio;  // of the bias corrections: what the root of the second moment is divided by, rate / bias_correction1
};

// The series may be held in float64 where the network is float32: what is left of a large value once its mean is
// subtracted is in the digits that float32 would not have kept.
template <class Source, class Real>
struct Gather {
  int64_t members, time, batch, channels, columns;

  const Source* values;                      // step channel
  const Source* constants;                   // series column: they follow the channels at each step
  const int64_t *begins, *lengths, *series;  // member batch: first step, steps (0: padding), row of constants
  const Source *shift, *scale;               // member channel + column
  Real* x;                                   // member time batch channel + column: (value - shift) / scale, else zero

  // What is added to the first channels of values that are there: at least as many steps and rows as x has.
  int64_t noise_channels, noise_time, noise_rows;
  const int64_t* noise_of;  // member: which of the noises is its own, below zero for none; null where no member has one
  const Real* noise;        // noise, time, row, channel
};

// At each lag the log10 of the geometric mean of norms over the series that are so long; NaN where none is, -inf where
// one is zero, inf from the lag on at which one is.
void log_means(const double* squares, int64_t time, int64_t batch, const int64_t* lengths, const int64_t* lags,
               int64_t count, bool reverse, double* means);

// The L2 norms of a member's gradient by tensor; each begins where `begins` says and reaches to the next.
template <class Real>
void tensor_norms(const Real* grads, int64_t width, const int64_t* begins, int64_t tensors, double* norms,
                  const std::string& isa);
template <class Real>
void take_step(const Update<Real>& u, const ThreadTeam& team, const std::string& isa);
template <class Source, class Real>
void gather(const Gather<Source, Real>& g, const ThreadTeam& team, const std::string& isa);

}  // namespace throughtime
