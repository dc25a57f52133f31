// Whole training steps of a network of one layer with one output per series: fetch the batch, run forward and backward,
// clip, update. A task is one member with all its steps, so nothing waits between them and what a member needs stays
// in its core's cache. The same functions as one by one, so the same bits.
#pragma once

#include <cstdint>
#include <string>

#include "lockstep.h"
#include "pool.h"
#include "problem.h"
#include "readout.h"

namespace throughtime {

// Where each weight tensor begins in a member's row.
struct Places {
  int64_t w_ih, w_hh, b_ih, b_hh, readout_weight, readout_bias;
};

template <class Source, class Real>
struct FusedSteps {
  Kind kind;
  Loss loss;
  int64_t channels, columns, hidden, outputs;
  int64_t rows;               // of a whole batch; no step computes more than it has series
  int64_t positions;          // of `order` a member
  int64_t first_step, steps;  // of the pass over the training series
  Places places;

  // The series, one copy for all members.
  const Source *values, *constants;  // step channel, series column
  const int64_t *starts, *lengths;   // series
  // Every member's own, the member axis first.
  int64_t sample_size;
  const int64_t* series;            // position
  const double *targets, *weights;  // position; the weight is zero where the target was not observed
  const int64_t* order;             // position of the sample; below zero behind a smaller one
  const Source *shift, *scale;      // channel + column

  // Its grads and active are not read. Norms: step of the pass, member; written where a member takes the step.
  Update<Real> update;
  double *loss_sums, *weight_sums;  // member: added to
};

template <class Source, class Real>
void train_steps(const FusedSteps<Source, Real>& d, const ThreadTeam& team, const std::string& isa);

}  // namespace throughtime
