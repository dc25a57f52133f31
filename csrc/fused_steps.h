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

// Where each weight tensor begins in a member's row, one behind the other.
struct Places {
  static constexpr int64_t tensors = 6;
  int64_t at[tensors];
  int64_t w_ih() const { return at[0]; }
  int64_t w_hh() const { return at[1]; }
  int64_t b_ih() const { return at[2]; }
  int64_t b_hh() const { return at[3]; }
  int64_t readout_weight() const { return at[4]; }
  int64_t readout_bias() const { return at[5]; }
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
  // Dropout on what the output layer is given: which of the masks is a member's, below zero for none; of this call.
  const int64_t* mask_of;  // member; null where no member has one
  const Real* masks;       // mask, step of this call, row of the batch, unit
  // Noise on the first channels, as Gather has it, and how much of a class's probability all share, as Losses has it.
  int64_t noise_channels, noise_time;
  const int64_t* noise_of;  // member; null where no member has one
  const Real* noise;        // noise, step of this call, time, row of the batch, channel
  const Real* smoothing;    // member; null where no member has one

  // Its grads and active are not read. Norms: step of the pass, member; written where a member takes the step.
  Update<Real> update;
  double *loss_sums, *weight_sums;  // member: added to

  // Measurements, null where nobody asks; written where a member has the step, series and time.
  double* tensor_norms;         // step of the pass, member, tensor
  double *dh_norms, *dc_norms;  // step of this call, member, time, row of the batch
  int64_t norms_time;           // steps in time of the two above
};

template <class Source, class Real>
void train_steps(const FusedSteps<Source, Real>& d, const ThreadTeam& team, const std::string& isa);

}  // namespace throughtime
