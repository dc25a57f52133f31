// What a call of the op is, as plain data: shared by the driver, which is compiled once, and by the kernels,
// which are compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lockstep.h"
#include "readout.h"

namespace throughtime {

enum class Kind : int { rnn_tanh, rnn_relu, gru, lstm };

// The gates whose weights torch stacks: LSTM i f g o, GRU r z n.
inline int64_t weight_gates(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

// What the backward pass reads again for one unit at one step: h; c for an LSTM; the gates (GRU: n r z and the
// recurrent part of n), or what an RNN wrote before zoneout kept a share of h as it was.
inline int64_t reserve_slots(Kind kind, bool kept) {
  return kind == Kind::lstm ? 6 : kind == Kind::gru ? 5 : kept ? 2 : 1;
}

// Rounded up to cache lines.
inline int64_t whole_lines(int64_t count, size_t real_bytes) {
  const int64_t line = static_cast<int64_t>(64 / real_bytes);
  return (count + line - 1) / line * line;
}

// Rows of the reserve start on cache lines, whatever the instruction set, so that a forward pass on one level can
// be followed by a backward pass on another.
inline int64_t reserve_stride(int64_t hidden, size_t real_bytes) { return whole_lines(hidden, real_bytes); }

// The states that a step hands to the next.
inline int64_t state_count(Kind kind) { return kind == Kind::lstm ? 2 : 1; }

// Segments that begin behind the first step: each has its checkpoint.
inline int64_t checkpoints_of(int64_t time, int64_t segment) { return (time - 1) / segment; }

// The most series a block may hold.
constexpr int max_block_rows = 64;

// Strides count elements. Pointers without a stride are contiguous, the member axis first. Null: absent.
template <class Real>
struct Problem {
  Kind kind;
  bool reverse;
  int64_t members, time, batch, channels, hidden;

  const Real* x;  // member time batch channel
  int64_t x_member, x_time, x_batch, x_channel;
  const Real *w_ih, *w_hh, *b_ih, *b_hh, *h0, *c0;

  // Noise. What h is multiplied with where it enters the product: member batch unit; the same for what a gated cell
  // would write, and the share of h and c that stays as it was: member time batch unit.
  const Real *recurrent_mask, *candidate_mask, *zoneout_h, *zoneout_c;

  Real *y, *h_n, *c_n;  // written by the forward pass; y, which may be null, is read by nobody
  Real* reserve;        // written forward, read backward
  // In place of the reserve: the states where each segment of so many steps but the first begins, from which the
  // backward pass runs the segment forward again. 0: none.
  int64_t segment;
  Real* checkpoints;

  const Real* dy;  // member time batch unit, unit stride 1
  int64_t dy_member, dy_time, dy_batch;
  const Real *dh_n, *dc_n;
  // Of the weights all or none, dw_hh says which.
  Real *dx, *dw_ih, *dw_hh, *db_ih, *db_hh, *dh0, *dc0;
  double *dh_norms, *dc_norms;  // squared; member time batch
};

// A block of series of one member: the rows that one task carries through all their steps. Sorted longest first,
// so the rows still running at a step are a prefix, and `steps` is the first row's length.
struct Block {
  int64_t member;
  int64_t first;  // position of the block's first series in the batch: where its part of the reserve starts
  int rows;
  const int64_t* series;  // [rows] position in the batch
  const int64_t* length;  // [rows]
  int64_t steps;
  int64_t cells;  // sum of the lengths

  // Of the steps begin..end.
  int64_t cells_between(int64_t begin, int64_t end) const {
    int64_t sum = 0;
    for (int r = 0; r < rows && length[r] > begin; ++r) sum += (length[r] < end ? length[r] : end) - begin;
    return sum;
  }
};

// One instruction set's kernels. Sizes count elements of Real.
template <class Real>
struct Kernels {
  int64_t (*forward_panels)(const Problem<Real>&);
  int64_t (*forward_packed)(const Problem<Real>&);
  int64_t (*forward_scratch)(const Problem<Real>&, int rows);
  void (*pack_forward)(const Problem<Real>&, int64_t member, int64_t panel, Real* packed);
  void (*forward)(const Problem<Real>&, const Block&, const Real* packed, Real* scratch);

  int64_t (*backward_panels)(const Problem<Real>&);
  int64_t (*backward_packed)(const Problem<Real>&);
  int64_t (*backward_scratch)(const Problem<Real>&, int rows);
  int64_t (*partial)(const Problem<Real>&);
  void (*pack_backward)(const Problem<Real>&, int64_t member, int64_t panel, Real* packed);
  // `forward_packed` is read where there are segments.
  void (*backward)(const Problem<Real>&, const Block&, const Real* packed, const Real* forward_packed, Real* partial,
                   Real* scratch);
  int64_t (*reduce_pieces)(const Problem<Real>&);
  void (*reduce)(const Problem<Real>&, int64_t member, int64_t piece, const Real* partials, int64_t blocks);

  double (*square_sum)(const Real*, int64_t count);
  void (*update)(const Update<Real>&, const Factors<Real>&, int64_t begin, int64_t end);
  void (*gather)(const Gather<Real, Real>&, int64_t member, int64_t step);
  void (*gather_wide)(const Gather<double, Real>&, int64_t member, int64_t step);

  void (*readout_forward)(const Readout<Real>&, int64_t member);
  void (*readout_backward)(const Readout<Real>&, int64_t member);
  void (*loss_forward)(const Losses<Real>&, int64_t begin, int64_t end);
  void (*loss_backward)(const Losses<Real>&, int64_t begin, int64_t end);

  void (*activation)(int name, const Real* in, Real* out, int64_t count);
  double (*fma_loop)(int64_t iterations);  // returns the floating point operations done
};

enum Activation : int { activation_exp, activation_sigmoid, activation_tanh };

}  // namespace throughtime
