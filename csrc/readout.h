// What follows the recurrence: a linear output layer of each series, its loss, and both their gradients. A row's
// numbers do not depend on the other rows, and sums over rows run in their order.
#pragma once

#include <cstdint>
#include <string>

#include "pool.h"

namespace throughtime {

// Pointers are contiguous, the member axis first.
template <class Real>
struct Readout {
  int64_t members, rows, inputs, outputs;

  const Real *x, *weight, *bias;  // member row input, member output input, member output
  Real* y;                        // member row output: written forward

  const Real* dy;  // member row output: read backward
  Real *dx, *dweight, *dbias;
};

enum class Loss : int { cross_entropy, squared_error };

template <class Real>
struct Losses {
  Loss loss;
  int64_t rows, outputs;

  const Real* y;          // row output: logits, or the one value
  const double* targets;  // row: a class number, or a value
  Real* losses;           // row: written forward

  const Real* smoothing;   // of so many rows one each: how much of a class's probability all share; null: nothing
  int64_t rows_smoothing;  // rows of each

  const Real* share;  // row: what each loss is multiplied with in the objective; read backward
  Real* dy;           // row output: zero in a row without a share, whatever it holds

  Real smoothing_at(int64_t row) const { return smoothing ? smoothing[row / rows_smoothing] : Real(0); }
};

template <class Real>
void readout_forward(const Readout<Real>& r, const ThreadTeam& team, const std::string& isa);
template <class Real>
void readout_backward(const Readout<Real>& r, const ThreadTeam& team, const std::string& isa);
// Throws std::invalid_argument where a class number is not one of the outputs.
template <class Real>
void loss_forward(const Losses<Real>& l, const ThreadTeam& team, const std::string& isa);
template <class Real>
void loss_backward(const Losses<Real>& l, const ThreadTeam& team, const std::string& isa);

}  // namespace throughtime
