// The forward pass of one block of series: all time steps, no barrier.
//
// A panel holds the weights of the gates of one vector of units (RNN: of two vectors), so a tile's accumulators are
// exactly the pre-activations of MR series x those units, and the cell's equations run on them in registers.
//
//   panel: bias [BiasColumns][W], then [channels][Columns][W] for x, then [hidden][Columns][W] for h
#pragma once

#include "problem.h"
#include "tile-inl.h"

namespace throughtime {
namespace TT_ISA {

template <Kind kind>
constexpr bool is_rnn = kind == Kind::rnn_tanh || kind == Kind::rnn_relu;

// Which of torch's gates a slot of ours is. GRU keeps n r z | r z n, so that what x reaches (n r z) and what h
// reaches (r z and the recurrent part of n) are each contiguous.
template <Kind kind>
TT_INLINE int64_t gate_of_slot(int64_t slot) {
  if constexpr (kind == Kind::gru) return slot == 0 || slot == 3 ? 2 : slot - 1;
  return slot;
}

template <Kind kind>
struct ForwardTile {
  static constexpr int columns = kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 2;
  static constexpr int bias_columns = kind == Kind::gru ? 4 : columns;
  static constexpr int units = is_rnn<kind> ? 2 : 1;  // vectors of units a panel
  // As many rows as leave the accumulators, one row's broadcast each and a vector of weights in registers. GRU's
  // idle fourth accumulator may spill: it waits outside the loop.
  static constexpr int rows = TT_REGISTERS == 32 ? (is_rnn<kind> ? 8 : 6)
                                                 : (kind == Kind::lstm  ? 3
                                                    : kind == Kind::gru ? 4
                                                                        : 6);
};

template <class Real>
TT_INLINE int64_t unit_vectors(const Problem<Real>& p) {
  return ceil_div(p.hidden, width<Real>);
}

template <class Real, Kind kind>
int64_t forward_panels(const Problem<Real>& p) {
  return ceil_div(unit_vectors(p), ForwardTile<kind>::units);
}

template <class Real, Kind kind>
int64_t forward_panel_size(const Problem<Real>& p) {
  using Tile = ForwardTile<kind>;
  return (Tile::bias_columns + (p.channels + p.hidden) * Tile::columns) * width<Real>;
}

template <class Real, Kind kind>
int64_t forward_packed(const Problem<Real>& p) {
  return forward_panels<Real, kind>(p) * forward_panel_size<Real, kind>(p);
}

// Transpose rows of `weight` (`depth` long, one per unit) into a panel's column; units beyond the last are zero.
template <class Real>
TT_INLINE void pack_column(const Real* weight, int64_t depth, int64_t count, Real* panel, int64_t step) {
  constexpr int W = width<Real>;
  int64_t k = 0;
  for (; count >= W && k + W <= depth; k += W) {
    Vec<Real> tile[W];
    TT_UNROLL
    for (int lane = 0; lane < W; ++lane) tile[lane] = load(weight + lane * depth + k);
    transpose<Real>(tile);
    TT_UNROLL
    for (int i = 0; i < W; ++i) store(panel + (k + i) * step, tile[i]);
  }
  for (; k < depth; ++k) {
    for (int64_t lane = 0; lane < W; ++lane) panel[k * step + lane] = lane < count ? weight[lane * depth + k] : Real(0);
  }
}

template <class Real, Kind kind>
void pack_forward(const Problem<Real>& p, int64_t member, int64_t index, Real* packed) {
  using Tile = ForwardTile<kind>;
  constexpr int W = width<Real>;
  const int64_t gates = weight_gates(kind), step = Tile::columns * W;
  const Real* w_ih = p.w_ih + member * gates * p.hidden * p.channels;
  const Real* w_hh = p.w_hh + member * gates * p.hidden * p.hidden;
  Real* panel = packed + index * forward_panel_size<Real, kind>(p);
  Real* of_x = panel + Tile::bias_columns * W;
  Real* of_h = of_x + p.channels * step;
  for (int column = 0; column < Tile::bias_columns; ++column) {
    const int64_t gate = is_rnn<kind> ? 0 : gate_of_slot<kind>(column);
    const int64_t unit = (index * Tile::units + (is_rnn<kind> ? column : 0)) * W;
    const int64_t count = p.hidden - unit < W ? p.hidden - unit : W;  // may be negative: a whole column of padding
    const int64_t row = gate * p.hidden + unit;
    const bool x_part = kind != Kind::gru || column < 3, h_part = kind != Kind::gru || column > 0;
    for (int64_t lane = 0; lane < W; ++lane) {
      Real bias = 0;
      if (lane < count) {
        if (x_part && p.b_ih) bias += p.b_ih[member * gates * p.hidden + row + lane];
        if (h_part && p.b_hh) bias += p.b_hh[member * gates * p.hidden + row + lane];
      }
      panel[column * W + lane] = bias;
    }
    if (x_part) pack_column<Real>(w_ih + row * p.channels, p.channels, count, of_x + column * W, step);
    if (h_part) {
      const int64_t place = kind == Kind::gru ? column - 1 : column;
      pack_column<Real>(w_hh + row * p.hidden, p.hidden, count, of_h + place * W, step);
    }
  }
}

// The noise of one step in the block's order: [rows][stride], null where there is none.
template <class Real>
struct StepNoise {
  const Real *candidate, *zoneout_h, *zoneout_c;
};

// Where one step's rows lie. `gates` is null when nothing is kept for a backward pass.
template <class Real>
struct Step {
  const Real* x;  // [rows][ldx]
  int64_t ldx;
  const Real* h_product;            // h_before, masked where noise says so
  const Real *h_before, *c_before;  // [rows][stride]
  Real *h, *c, *gates;              // gates: [rows][4 * stride], an RNN's [rows][stride]
  int64_t stride;
  StepNoise<Real> noise;
};

// A share stays as it was.
template <class Real>
TT_INLINE Vec<Real> apply_zoneout(const Real* kept, int64_t offset, Vec<Real> before, Vec<Real> fresh) {
  if (!kept) return fresh;
  const Vec<Real> share = load(kept + offset);
  return fma(share, before, (Real(1) - share) * fresh);
}

template <class Real, Kind kind, int MR>
TT_INLINE void forward_tile(const Problem<Real>& p, const Step<Real>& at, const Real* panel, int64_t index,
                            int64_t row) {
  using Tile = ForwardTile<kind>;
  using V = Vec<Real>;
  constexpr int W = width<Real>, N = Tile::bias_columns;
  const Real* of_x = panel + N * W;
  const Real* of_h = of_x + p.channels * Tile::columns * W;
  V pre[MR][N];
  {
    V acc[MR][N];
    TT_UNROLL
    for (int r = 0; r < MR; ++r) {
      TT_UNROLL
      for (int v = 0; v < N; ++v) acc[r][v] = load(panel + v * W);
    }
    constexpr int first_h = kind == Kind::gru ? 1 : 0;
    accumulate<Real, 0, Tile::columns>(acc, at.x + row * at.ldx, at.ldx, of_x, p.channels);
    accumulate<Real, first_h, Tile::columns>(acc, at.h_product + row * at.stride, at.stride, of_h, p.hidden);
    TT_UNROLL
    for (int r = 0; r < MR; ++r) {
      TT_UNROLL
      for (int v = 0; v < N; ++v) pre[r][v] = acc[r][v];
    }
  }
  // Through memory on purpose: a row's activations keep the pipes busy by themselves, and unrolling the rows would
  // cost code and spills.
  const int64_t unit = index * Tile::units * W;
  if constexpr (kind == Kind::lstm) {
    TT_NO_UNROLL
    for (int r = 0; r < MR; ++r) {
      const int64_t offset = (row + r) * at.stride + unit;
      const V i = sigmoid<Real>(pre[r][0]), f = sigmoid<Real>(pre[r][1]), g = tanh<Real>(pre[r][2]),
              o = sigmoid<Real>(pre[r][3]);
      const V before = load(at.c_before + offset);
      const V c = fma(f, before, i * (at.noise.candidate ? g * load(at.noise.candidate + offset) : g));
      store(at.c + offset, apply_zoneout(at.noise.zoneout_c, offset, before, c));
      pre[r][0] = c;
      pre[r][3] = o;
      if (at.gates) {
        Real* gates = at.gates + (row + r) * 4 * at.stride + unit;
        store(gates, i);
        store(gates + at.stride, f);
        store(gates + 2 * at.stride, g);
        store(gates + 3 * at.stride, o);
      }
    }
    // A loop of its own: tanh(c) is as long a chain again, and would keep the next row out of the window.
    TT_NO_UNROLL
    for (int r = 0; r < MR; ++r) {
      const int64_t offset = (row + r) * at.stride + unit;
      const V h = pre[r][3] * tanh<Real>(pre[r][0]);
      store(at.h + offset, apply_zoneout(at.noise.zoneout_h, offset, load(at.h_before + offset), h));
    }
  } else if constexpr (kind == Kind::gru) {
    TT_NO_UNROLL
    for (int r = 0; r < MR; ++r) {
      pre[r][1] = sigmoid<Real>(pre[r][1]);
      pre[r][2] = sigmoid<Real>(pre[r][2]);
    }
    TT_NO_UNROLL
    for (int r = 0; r < MR; ++r) {
      const int64_t offset = (row + r) * at.stride + unit;
      const V rate = pre[r][1], z = pre[r][2], recurrent = pre[r][3];
      const V n = tanh<Real>(fma(rate, recurrent, pre[r][0]));
      const V before = load(at.h_before + offset);
      const V candidate = at.noise.candidate ? n * load(at.noise.candidate + offset) : n;
      const V h = fma(z, before, (Real(1) - z) * candidate);
      store(at.h + offset, apply_zoneout(at.noise.zoneout_h, offset, before, h));
      if (at.gates) {
        Real* gates = at.gates + (row + r) * 4 * at.stride + unit;
        store(gates, n);
        store(gates + at.stride, rate);
        store(gates + 2 * at.stride, z);
        store(gates + 3 * at.stride, recurrent);
      }
    }
  } else {
    TT_NO_UNROLL
    for (int r = 0; r < MR; ++r) {
      for (int v = 0; v < N && unit + v * W < p.hidden; ++v) {
        const int64_t offset = (row + r) * at.stride + unit + v * W;
        // x < 0 is false for NaN, which therefore passes, as in torch.
        const V a = pre[r][v];
        const V h = kind == Kind::rnn_tanh ? tanh<Real>(a) : (a < Real(0) ? V{} : a);
        if (at.noise.zoneout_h && at.gates) store(at.gates + offset, h);
        store(at.h + offset, apply_zoneout(at.noise.zoneout_h, offset, load(at.h_before + offset), h));
      }
    }
  }
}

// x of one step, a row a running series.
template <class Real>
TT_INLINE void gather_x(const Problem<Real>& p, const Block& b, int64_t step, int64_t running, Real* out, int64_t ld) {
  for (int64_t r = 0; r < running; ++r, out += ld) {
    const int64_t t = p.reverse ? b.length[r] - 1 - step : step;
    const Real* row = p.x + b.member * p.x_member + t * p.x_time + b.series[r] * p.x_batch;
    if (p.x_channel == 1) {
      int64_t i = 0;
      for (; i + width<Real> <= p.channels; i += width<Real>) store(out + i, load(row + i));
      for (; i < p.channels; ++i) out[i] = row[i];
    } else {
      for (int64_t i = 0; i < p.channels; ++i) out[i] = row[i * p.x_channel];
    }
  }
}

template <class Real>
TT_INLINE void copy_row(const Real* from, Real* to, int64_t count) {
  int64_t i = 0;
  for (; i + width<Real> <= count; i += width<Real>) store(to + i, load(from + i));
  for (; i < count; ++i) to[i] = from[i];
}

template <class Real>
TT_INLINE void fill(Real* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = 0;
}

// Initial states in the block's order, padded to the stride; zeros where there are none.
template <class Real>
TT_INLINE void gather_state(const Problem<Real>& p, const Block& b, const Real* state, Real* out, int64_t stride) {
  fill(out, b.rows * stride);
  if (!state) return;
  for (int64_t r = 0; r < b.rows; ++r) {
    copy_row(state + (b.member * p.batch + b.series[r]) * p.hidden, out + r * stride, p.hidden);
  }
}

// What some steps of a block keep: h [cells][stride], then c, then the gates [cells][gate_slots * stride]. Rows of the
// running series only, step by step. All null: nothing is kept.
template <class Real, Kind kind>
struct Reserve {
  static constexpr int gate_slots = is_rnn<kind> ? 1 : 4;
  Real *h = nullptr, *c = nullptr, *gates = nullptr;
  Reserve(const Problem<Real>& p, Real* memory, int64_t cells, int64_t stride) {
    if (!memory) return;
    h = memory;
    if (kind == Kind::lstm) c = h + cells * stride;
    if (!is_rnn<kind> || p.zoneout_h) gates = h + state_count(kind) * cells * stride;
  }
};

// The block's part of the reserve; null if there is none.
template <class Real, Kind kind>
TT_INLINE Real* reserve_of(const Problem<Real>& p, const Block& b, int64_t stride) {
  if (!p.reserve) return nullptr;
  return p.reserve + (b.member * p.batch + b.first) * p.time * reserve_slots(kind, p.zoneout_h) * stride;
}

// h, then c, of the block where its segment `index` begins, [rows][stride]; of the running series.
template <class Real, Kind kind>
TT_INLINE Real* checkpoint(const Problem<Real>& p, const Block& b, int64_t index, int64_t stride) {
  const int64_t before = (b.member * p.batch + b.first) * checkpoints_of(p.time, p.segment) + (index - 1) * b.rows;
  return p.checkpoints + before * state_count(kind) * stride;
}

// The noise of a block, gathered step by step into scratch memory.
template <class Real>
class BlockNoise {
 public:
  static int64_t scratch(const Problem<Real>& p, int64_t rows, int64_t stride) {
    return rows * stride *
           ((p.recurrent_mask ? 2 : 0) + (p.candidate_mask ? 1 : 0) + (p.zoneout_h ? 1 : 0) + (p.zoneout_c ? 1 : 0));
  }
  BlockNoise(const Problem<Real>& p, const Block& b, int64_t stride, Real* scratch) : p_(p), b_(b), stride_(stride) {
    const auto take = [&](const Real* asked) -> Real* {
      if (!asked) return nullptr;
      Real* const workspace = scratch;
      scratch += b.rows * stride;
      fill(workspace, b.rows * stride);
      return workspace;
    };
    mask_ = take(p.recurrent_mask);
    masked_ = take(p.recurrent_mask);
    candidate_ = take(p.candidate_mask);
    kept_h_ = take(p.zoneout_h);
    kept_c_ = take(p.zoneout_c);
    if (mask_) gather_state(p, b, p.recurrent_mask, mask_, stride);
  }
  const Real* recurrent_mask() const { return mask_; }

  StepNoise<Real> at(int64_t step, int64_t running) const {
    for (int64_t r = 0; r < running; ++r) {
      const int64_t t = p_.reverse ? b_.length[r] - 1 - step : step;
      const int64_t from = ((b_.member * p_.time + t) * p_.batch + b_.series[r]) * p_.hidden, to = r * stride_;
      if (candidate_) copy_row(p_.candidate_mask + from, candidate_ + to, p_.hidden);
      if (kept_h_) copy_row(p_.zoneout_h + from, kept_h_ + to, p_.hidden);
      if (kept_c_) copy_row(p_.zoneout_c + from, kept_c_ + to, p_.hidden);
    }
    return {candidate_, kept_h_, kept_c_};
  }

  // h as it enters the product.
  const Real* masked(const Real* h, int64_t running) const {
    if (!mask_) return h;
    for (int64_t i = 0; i < running * stride_; i += width<Real>) {
      store(masked_ + i, load(h + i) * load(mask_ + i));
    }
    return masked_;
  }

 private:
  const Problem<Real>& p_;
  const Block& b_;
  const int64_t stride_;
  Real *mask_, *masked_, *candidate_, *kept_h_, *kept_c_;
};

template <class Real, Kind kind>
int64_t forward_scratch(const Problem<Real>& p, int rows) {
  const int64_t stride = reserve_stride(p.hidden, sizeof(Real));
  return rows * (p.channels + 5 * stride) + BlockNoise<Real>::scratch(p, rows, stride) + 64;
}

// Steps begin..end, from the states before them, [rows][stride].
template <class Real, Kind kind>
void forward_steps(const Problem<Real>& p, const Block& b, int64_t begin, int64_t end, const Real* h_first,
                   const Real* c_first, const Reserve<Real, kind> kept, const Real* packed, Real* scratch) {
  using Tile = ForwardTile<kind>;
  constexpr bool has_c = kind == Kind::lstm;
  const int64_t H = p.hidden, stride = reserve_stride(H, sizeof(Real)), states = b.rows * stride;
  const int64_t panels = forward_panels<Real, kind>(p), panel_size = forward_panel_size<Real, kind>(p);
  Real* const ring = scratch;  // two steps of h, then c in place: when nothing is kept
  Real* const x = ring + 3 * states;
  const BlockNoise<Real> noise(p, b, stride, x + b.rows * p.channels);

  Step<Real> at{x, p.channels, nullptr, h_first, c_first, nullptr, nullptr, nullptr, stride, {}};
  int64_t running = b.rows, done = 0;
  for (int64_t step = begin; step < end; ++step) {
    while (b.length[running - 1] <= step) --running;
    if (p.checkpoints && step > begin && step % p.segment == 0) {
      Real* const h = checkpoint<Real, kind>(p, b, step / p.segment, stride);
      for (int64_t r = 0; r < running; ++r) {
        copy_row(at.h_before + r * stride, h + r * stride, H);
        if (has_c) copy_row(at.c_before + r * stride, h + states + r * stride, H);
      }
    }
    gather_x(p, b, step, running, x, p.channels);
    if (kept.h) {
      at.h = kept.h + done * stride;
      if (has_c) at.c = kept.c + done * stride;
      if (kept.gates) at.gates = kept.gates + done * kept.gate_slots * stride;
    } else {
      at.h = ring + (step & 1) * states;
      at.c = ring + 2 * states;
    }
    at.noise = noise.at(step, running);
    at.h_product = noise.masked(at.h_before, running);
    const Cut cut(running, Tile::rows);
    for (int64_t index = 0; index < panels; ++index) {
      const Real* panel = packed + index * panel_size;
      for (int64_t tile = 0; tile < cut.tiles; ++tile) {
        with_constant<Tile::rows>(cut.rows(tile), [&](auto rows) {
          forward_tile<Real, kind, decltype(rows)::value>(p, at, panel, index, cut.start(tile));
        });
      }
    }
    for (int64_t r = 0; r < running; ++r) {
      const int64_t t = p.reverse ? b.length[r] - 1 - step : step, series = b.series[r];
      const Real* h = at.h + r * stride;
      if (p.y) copy_row(h, p.y + ((b.member * p.time + t) * p.batch + series) * H, H);
      if (p.h_n && b.length[r] == step + 1) {
        copy_row(h, p.h_n + (b.member * p.batch + series) * H, H);
        if (has_c) copy_row(at.c + r * stride, p.c_n + (b.member * p.batch + series) * H, H);
      }
    }
    at.h_before = at.h;
    at.c_before = at.c;
    done += running;
  }
}

template <class Real, Kind kind>
void forward(const Problem<Real>& p, const Block& b, const Real* packed, Real* scratch) {
  const int64_t H = p.hidden, stride = reserve_stride(H, sizeof(Real)), states = b.rows * stride;
  Real* const h_first = scratch;
  Real* const c_first = h_first + states;
  gather_state(p, b, p.h0, h_first, stride);
  if (kind == Kind::lstm) gather_state(p, b, p.c0, c_first, stride);
  const Reserve<Real, kind> kept(p, reserve_of<Real, kind>(p, b, stride), b.cells, stride);
  forward_steps<Real, kind>(p, b, 0, b.steps, h_first, c_first, kept, packed, c_first + states);
  for (int64_t r = 0; p.y && r < b.rows; ++r) {
    for (int64_t t = b.length[r]; t < p.time; ++t) {
      fill(p.y + ((b.member * p.time + t) * p.batch + b.series[r]) * H, H);
    }
  }
}

}  // namespace TT_ISA
}  // namespace throughtime
