// The backward pass of one block of series: the delta recursion, and the gradients that hang on it.
//
// Steps go in chunks from the last to the first. A chunk's deltas (dL/d pre-activation) stay in a scratch buffer
// small enough for the cache; when it is full, the weight gradients and dx are taken from it. A weight gradient is
// one chain of fma over (step descending, row ascending), so where a chunk ends changes no bit.
#pragma once

#include "forward-inl.h"

namespace throughtime {
namespace TT_ISA {

template <Kind kind>
struct BackwardTile {
  static constexpr int slots = is_rnn<kind> ? 1 : 4;           // deltas a unit
  static constexpr int reach = kind == Kind::gru ? 3 : slots;  // of which x, or h, reaches these
  static constexpr int h_slot = kind == Kind::gru ? 1 : 0;     // the first one that h reaches
};
constexpr int product_rows = TT_REGISTERS == 32 ? 8 : 6, product_vectors = 2;
constexpr int outer_rows = 6, outer_vectors = TT_REGISTERS == 32 ? 4 : 2;

template <class Real>
TT_INLINE int64_t padded(int64_t count) {
  return ceil_div(count, width<Real>) * width<Real>;
}

// W^T for dh = delta W_hh and dx = delta W_ih: panels [slot, unit][2 W] over hidden, then over channels.
template <class Real>
TT_INLINE int64_t product_panels(int64_t count) {
  return ceil_div(count, product_vectors * width<Real>);
}

template <class Real, Kind kind>
int64_t backward_depth(const Problem<Real>& p) {
  return BackwardTile<kind>::reach * padded<Real>(p.hidden);
}

template <class Real, Kind kind>
int64_t backward_panels(const Problem<Real>& p) {
  return product_panels<Real>(p.hidden) + (p.dx ? product_panels<Real>(p.channels) : 0);
}

template <class Real, Kind kind>
int64_t backward_packed(const Problem<Real>& p) {
  return backward_panels<Real, kind>(p) * backward_depth<Real, kind>(p) * product_vectors * width<Real>;
}

template <class Real, Kind kind>
void pack_backward(const Problem<Real>& p, int64_t member, int64_t index, Real* packed) {
  constexpr int64_t wide = product_vectors * width<Real>;
  const int64_t H = p.hidden, Hv = padded<Real>(H), of_h = product_panels<Real>(H);
  const bool hidden = index < of_h;
  const int64_t length = hidden ? H : p.channels, first = (hidden ? index : index - of_h) * wide;
  const int64_t count = length - first < wide ? length - first : wide;
  // The last panel may need one vector per row only.
  const int64_t vectors = ceil_div(count, width<Real>) * width<Real>;
  const Real* weight = (hidden ? p.w_hh : p.w_ih) + member * weight_gates(kind) * H * length;
  Real* out = packed + index * backward_depth<Real, kind>(p) * wide;
  const int64_t slot0 = hidden ? BackwardTile<kind>::h_slot : 0;
  for (int64_t slot = slot0; slot < slot0 + BackwardTile<kind>::reach; ++slot) {
    for (int64_t unit = 0; unit < Hv; ++unit, out += vectors) {
      fill(out, vectors);
      if (unit < H) {
        const Real* row = weight + (gate_of_slot<kind>(slot) * H + unit) * length + first;
        for (int64_t i = 0; i < count; ++i) out[i] = row[i];
      }
    }
  }
}

// c[rows][columns] (+)= a[rows][depth] W^T.
template <class Real>
void product(const Real* a, int64_t lda, int64_t rows, const Real* panels, int64_t depth, int64_t columns, Real* c,
             int64_t ldc, bool add) {
  constexpr int64_t W = width<Real>, wide = product_vectors * W;
  const Cut cut(rows, product_rows);
  for (int64_t first = 0; first < columns; first += wide) {
    const Real* panel = panels + first * depth;
    const bool narrow = columns - first <= W;
    for (int64_t tile = 0; tile < cut.tiles; ++tile) {
      const int64_t row = cut.start(tile);
      with_constant<product_rows>(cut.rows(tile), [&](auto n) {
        constexpr int MR = decltype(n)::value;
        if (narrow) {
          product_tile<Real, MR, 1>(a + row * lda, lda, panel, depth, c + row * ldc + first, ldc, add);
        } else {
          product_tile<Real, MR, product_vectors>(a + row * lda, lda, panel, depth, c + row * ldc + first, ldc, add);
        }
      });
    }
  }
}

// The partial weight gradients of one block: for each range of delta columns that meets the same inputs, a matrix
// [inputs of the range][columns], cut into column panels; then the sums of the deltas for the biases.
struct Range {
  int64_t column, columns;  // of the deltas
  int64_t input, inputs;    // of [x | h]
  int64_t offset;           // in the partial
};

template <class Real, Kind kind>
struct Ranges {
  static constexpr int count = kind == Kind::gru ? 3 : 1;
  Range at[count];
  int64_t bias, size;
  explicit Ranges(const Problem<Real>& p) {
    const int64_t Hv = padded<Real>(p.hidden), I = p.channels, H = p.hidden;
    if constexpr (kind == Kind::gru) {
      at[0] = {0, Hv, 0, I, 0};                               // n: x
      at[1] = {Hv, 2 * Hv, 0, I + H, Hv * I};                 // r z: both
      at[2] = {3 * Hv, Hv, I, H, Hv * I + 2 * Hv * (I + H)};  // the recurrent part of n: h
    } else {
      at[0] = {0, BackwardTile<kind>::slots * Hv, 0, I + H, 0};
    }
    const Range& last = at[count - 1];
    bias = last.offset + last.columns * last.inputs;
    size = bias + BackwardTile<kind>::slots * Hv;
  }
};

template <class Real, Kind kind>
int64_t partial(const Problem<Real>& p) {
  return (Ranges<Real, kind>(p).size + 15) / 16 * 16;
}

// Rows of deltas a chunk: enough to amortize loading and storing the partials, few enough to stay cached.
template <class Real, Kind kind>
int64_t chunk_rows(const Problem<Real>& p, int rows) {
  const int64_t most = p.hidden * static_cast<int64_t>(sizeof(Real)) > 1024 ? 384 : 256;
  return rows > most ? rows : most;
}

// Room for one segment that is run again: what it keeps, then the forward pass's own.
template <class Real, Kind kind>
int64_t segment_reserve(const Problem<Real>& p, int64_t rows, int64_t stride) {
  const int64_t steps = p.segment < p.time ? p.segment : p.time;
  return steps * rows * reserve_slots(kind, p.zoneout_h) * stride;
}
template <class Real, Kind kind>
int64_t segment_scratch(const Problem<Real>& p, int64_t rows, int64_t stride) {
  const int64_t forward = forward_scratch<Real, kind>(p, static_cast<int>(rows));
  return segment_reserve<Real, kind>(p, rows, stride) + whole_lines(forward, sizeof(Real));
}

template <class Real, Kind kind>
int64_t backward_scratch(const Problem<Real>& p, int rows) {
  const int64_t chunk = chunk_rows<Real, kind>(p, rows), Hv = padded<Real>(p.hidden), W = width<Real>;
  const int64_t stride = reserve_stride(p.hidden, sizeof(Real));
  const int64_t again = p.segment ? segment_scratch<Real, kind>(p, rows, stride) : 0;
  return again + rows * (2 * Hv + 2 * stride) + (p.recurrent_mask ? rows * Hv : 0) +
         BlockNoise<Real>::scratch(p, rows, stride) +
         chunk *
             (BackwardTile<kind>::slots * Hv + p.channels + p.hidden + outer_vectors * W + padded<Real>(p.channels)) +
         64;
}

// dL/dh_t of one step in, its deltas out; what flows on to h_{t-1} besides the matrix product stays in dh.
template <class Real>
struct Deltas {
  const Real *h, *h_before, *c, *c_before, *gates;  // as kept by the forward pass
  int64_t stride;
  Real *dh, *dc;                    // [rows][Hv]
  Real* delta;                      // [rows][slots * Hv]
  double *dh_squares, *dc_squares;  // [rows], or null
  const Real* const* dy;            // a pointer per row, or null
  StepNoise<Real> noise;
};

// sums += v^2, lane by lane. In float32 the square of 1e-19 would be zero.
template <class Real>
TT_INLINE void add_squares(Vec<Real> v, Wide<Real>& sums) {
  const Wide<Real> wide = __builtin_convertvector(v, Wide<Real>);
  sums += wide * wide;
}

// One vector of units of one series. Whole: no lane is padding, where inf * 0 would be NaN and the padding of a delta
// is summed over.
template <class Real, Kind kind, bool Whole>
TT_INLINE void unit_deltas(const Deltas<Real>& at, int64_t H, int64_t Hv, int64_t r, int64_t u, Wide<Real>& dh_squares,
                           Wide<Real>& dc_squares) {
  using V = Vec<Real>;
  constexpr int slots = BackwardTile<kind>::slots;
  const Real one = 1;
  const int64_t kept = r * at.stride + u, here = r * Hv + u;
  const auto real = lanes_below<Real>(Whole ? width<Real> : H - u);
  const auto keep = [&](V v) { return Whole ? v : real ? v : V{}; };
  const Real* gates = at.gates + r * 4 * at.stride + u;
  Real* delta = at.delta + r * slots * Hv + u;
  V d = load(at.dh + here);
  if (at.dy) d += Whole ? load(at.dy[r] + u) : load_first(at.dy[r] + u, H - u);
  d = keep(d);
  if (at.dh_squares) add_squares<Real>(d, dh_squares);
  V stays{};  // what goes on to h_{t-1} past the cell
  if (at.noise.zoneout_h) {
    const V share = load(at.noise.zoneout_h + kept);
    stays = d * share;
    d = d * (one - share);
  }
  const V mask = at.noise.candidate ? load(at.noise.candidate + kept) : splat<Real>(1);
  V out[slots];
  if constexpr (kind == Kind::lstm) {
    const V i = load(gates), f = load(gates + at.stride), g = load(gates + 2 * at.stride),
            o = load(gates + 3 * at.stride), before = load(at.c_before + kept);
    V c = load(at.c + kept), of_c = load(at.dc + here), c_stays{};
    if (at.noise.zoneout_c) {
      const V share = load(at.noise.zoneout_c + kept);
      c = fma(f, before, i * (g * mask));  // h was made of c before a share of it was kept
      c_stays = of_c * share;
      of_c = of_c * (one - share);
    }
    const V tc = tanh<Real>(c);
    const V dc = keep(fma(d * o, one - tc * tc, of_c));
    out[0] = dc * (g * mask) * i * (one - i);
    out[1] = dc * before * f * (one - f);
    out[2] = dc * i * mask * (one - g * g);
    out[3] = d * tc * o * (one - o);
    store(at.dc + here, keep(fma(dc, f, c_stays)));
    if (at.dc_squares) add_squares<Real>(dc, dc_squares);
    if (at.noise.zoneout_h) store(at.dh + here, keep(stays));
  } else if constexpr (kind == Kind::gru) {
    const V n = load(gates), rate = load(gates + at.stride), z = load(gates + 2 * at.stride),
            recurrent = load(gates + 3 * at.stride);
    out[0] = d * (one - z) * mask * (one - n * n);
    out[1] = out[0] * recurrent * rate * (one - rate);
    out[2] = d * (load(at.h_before + kept) - n * mask) * z * (one - z);
    out[3] = out[0] * rate;
    store(at.dh + here, keep(fma(d, z, stays)));
  } else {
    const V h = load(at.noise.zoneout_h ? at.gates + kept : at.h + kept);
    if (at.noise.zoneout_h) store(at.dh + here, keep(stays));
    if constexpr (kind == Kind::rnn_tanh) out[0] = d * (one - h * h);
    // h <= 0 is false for NaN, whose gradient therefore passes, as in torch.
    if constexpr (kind == Kind::rnn_relu) out[0] = h <= Real(0) ? V{} : d;
  }
  TT_UNROLL
  for (int s = 0; s < slots; ++s) store(delta + s * Hv, keep(out[s]));
}

template <class Real, Kind kind>
void deltas(const Problem<Real>& p, const Deltas<Real>& at, int64_t running) {
  constexpr int W = width<Real>;
  const int64_t H = p.hidden, Hv = padded<Real>(H), whole = H / W * W;
  for (int64_t r = 0; r < running; ++r) {
    Wide<Real> dh_squares{}, dc_squares{};
    for (int64_t u = 0; u < whole; u += W) unit_deltas<Real, kind, true>(at, H, Hv, r, u, dh_squares, dc_squares);
    if (whole < H) unit_deltas<Real, kind, false>(at, H, Hv, r, whole, dh_squares, dc_squares);
    if (at.dh_squares) at.dh_squares[r] = sum_wide<Real>(dh_squares);
    if (at.dc_squares) at.dc_squares[r] = sum_wide<Real>(dc_squares);
  }
}

// One row of inputs into the packed panels [tile][k][rows of the tile].
template <class Real>
TT_INLINE void pack_inputs(const Real* row, int64_t step, const Cut& cut, int64_t chunk, int64_t k, Real* packed) {
  for (int64_t tile = 0; tile < cut.tiles; ++tile) {
    const int64_t start = cut.start(tile);
    with_constant<outer_rows>(cut.rows(tile), [&](auto n) {
      constexpr int rows = decltype(n)::value;
      Real* out = packed + start * chunk + k * rows;
      if (step == 1) {
        std::memcpy(out, row + start, rows * sizeof(Real));
      } else {
        for (int i = 0; i < rows; ++i) out[i] = row[(start + i) * step];
      }
    });
  }
}

// partial += inputs^T deltas over the `depth` rows of a chunk.
template <class Real, Kind kind>
void accumulate_weights(const Problem<Real>& p, const Real* inputs, int64_t chunk, const Real* delta, int64_t depth,
                        Real* columns, Real* partial) {
  constexpr int64_t W = width<Real>;
  const int64_t ld = BackwardTile<kind>::slots * padded<Real>(p.hidden);
  const Cut of_x(p.channels, outer_rows), of_h(p.hidden, outer_rows);
  const Ranges<Real, kind> ranges(p);
  for (const Range& range : ranges.at) {
    const bool x = range.input == 0, h = range.input + range.inputs > p.channels;
    for (int64_t column = 0; column < range.columns; column += outer_vectors * W) {
      const int64_t left = (range.columns - column) / W;
      const int vectors = left < outer_vectors ? static_cast<int>(left) : outer_vectors;
      with_constant<outer_vectors>(vectors, [&](auto nv) {
        constexpr int NV = decltype(nv)::value;
        // Packed: rows of deltas lie a power of two apart, where a cache keeps only a few of them. Each column comes by
        // once, so its sum, for the biases, is taken here.
        Real* bias = partial + ranges.bias + range.column + column;
        Vec<Real> sum[NV];
        TT_UNROLL
        for (int v = 0; v < NV; ++v) sum[v] = load(bias + v * W);
        for (int64_t k = 0; k < depth; ++k) {
          const Real* from = delta + k * ld + range.column + column;
          TT_UNROLL
          for (int v = 0; v < NV; ++v) {
            const Vec<Real> d = load(from + v * W);
            sum[v] += d;
            store(columns + (k * NV + v) * W, d);
          }
        }
        TT_UNROLL
        for (int v = 0; v < NV; ++v) store(bias + v * W, sum[v]);
        Real* out = partial + range.offset + column * range.inputs;
        for (int part = 0; part < 2; ++part) {
          if (!(part ? h : x)) continue;
          const Cut& cut = part ? of_h : of_x;
          const Real* panel = inputs + (part ? p.channels * chunk : 0);
          for (int64_t tile = 0; tile < cut.tiles; ++tile) {
            const int rows = cut.rows(tile);
            with_constant<outer_rows>(
                rows, [&](auto n) { outer_tile<Real, decltype(n)::value, NV>(panel, columns, depth, out); });
            panel += rows * chunk;
            out += rows * NV * W;
          }
        }
      });
    }
  }
}

// With segments, each is run forward again, the last first. What is carried from one to the next, the partial weight
// gradients among it, makes where they part change no bit. Those are not taken where there is no dw_hh.
template <class Real, Kind kind>
void backward(const Problem<Real>& p, const Block& b, const Real* packed, const Real* forward_packed, Real* partial,
              Real* scratch) {
  using Tile = BackwardTile<kind>;
  constexpr int64_t W = width<Real>;
  constexpr bool has_c = kind == Kind::lstm;
  const int64_t H = p.hidden, I = p.channels, Hv = padded<Real>(H), Iv = padded<Real>(I);
  const int64_t stride = reserve_stride(H, sizeof(Real)), ld = Tile::slots * Hv;
  const int64_t depth = backward_depth<Real, kind>(p), chunk = chunk_rows<Real, kind>(p, b.rows);
  const Ranges<Real, kind> ranges(p);
  const Cut of_x(I, outer_rows), of_h(H, outer_rows);

  Real* const reserve = p.segment ? scratch : reserve_of<Real, kind>(p, b, stride);
  Real* const own_forward = scratch + (p.segment ? segment_reserve<Real, kind>(p, b.rows, stride) : 0);
  Real* const dh = scratch + (p.segment ? segment_scratch<Real, kind>(p, b.rows, stride) : 0);
  Real* const dc = dh + b.rows * Hv;
  Real* const h_start = dc + b.rows * Hv;
  Real* const c_start = h_start + b.rows * stride;
  Real* const delta = c_start + b.rows * stride;
  Real* const inputs = delta + chunk * ld;
  Real* const columns = inputs + chunk * (I + H);
  Real* const dx = columns + chunk * outer_vectors * W;
  Real* const masked_dh = dx + chunk * Iv;  // what the product gives, before the mask
  const BlockNoise<Real> noise(p, b, stride, masked_dh + (p.recurrent_mask ? b.rows * Hv : 0));
  const Real* const mask = noise.recurrent_mask();

  if (p.dw_hh) fill(partial, ranges.size);
  fill(dh, b.rows * Hv);
  fill(dc, b.rows * Hv);
  gather_state(p, b, p.h0, h_start, stride);
  if (has_c) gather_state(p, b, p.c0, c_start, stride);

  Problem<Real> again = p;
  again.y = again.h_n = again.c_n = again.checkpoints = nullptr;
  const Real* dy[max_block_rows];
  double dh_squares[max_block_rows], dc_squares[max_block_rows];
  const int64_t length = p.segment ? p.segment : b.steps;
  int64_t running = 0;
  for (int64_t begin = (b.steps - 1) / length * length; begin >= 0; begin -= length) {
    const int64_t end = b.steps - begin < length ? b.steps : begin + length;
    const Real* const h_first = begin ? checkpoint<Real, kind>(p, b, begin / length, stride) : h_start;
    const Real* const c_first = begin ? h_first + b.rows * stride : c_start;
    int64_t before = 0, done = b.cells_between(begin, end), filled = 0, chunk_end = end;
    const Reserve<Real, kind> kept(p, reserve, done, stride);
    if (p.segment) {
      forward_steps<Real, kind>(again, b, begin, end, h_first, c_first, kept, forward_packed, own_forward);
    }
    for (int64_t step = end - 1; step >= begin; --step) {
      // Series whose last step this is enter with the gradients of their final states.
      for (; running < b.rows && b.length[running] > step; ++running) {
        const int64_t state = (b.member * p.batch + b.series[running]) * H;
        if (p.dh_n) copy_row(p.dh_n + state, dh + running * Hv, H);
        if (has_c && p.dc_n) copy_row(p.dc_n + state, dc + running * Hv, H);
      }
      done -= running;
      before = running;
      while (step > begin && before < b.rows && b.length[before] >= step) ++before;  // rows of the step before

      Deltas<Real> at{};
      at.h = kept.h + done * stride;
      at.h_before = step > begin ? kept.h + (done - before) * stride : h_first;
      if (has_c) {
        at.c = kept.c + done * stride;
        at.c_before = step > begin ? kept.c + (done - before) * stride : c_first;
      }
      at.gates = kept.gates ? kept.gates + done * kept.gate_slots * stride : at.h;
      at.stride = stride;
      at.dh = dh;
      at.dc = dc;
      at.delta = delta + filled * ld;
      if (p.dh_norms) at.dh_squares = dh_squares;
      if (has_c && p.dc_norms) at.dc_squares = dc_squares;
      for (int64_t r = 0; r < running; ++r) {
        const int64_t t = p.reverse ? b.length[r] - 1 - step : step;
        if (p.dy) dy[r] = p.dy + b.member * p.dy_member + t * p.dy_time + b.series[r] * p.dy_batch;
      }
      if (p.dy) at.dy = dy;
      at.noise = noise.at(step, running);
      deltas<Real, kind>(p, at, running);
      const Real* const h_product = noise.masked(at.h_before, running);
      for (int64_t r = 0; r < running; ++r) {
        const int64_t t = p.reverse ? b.length[r] - 1 - step : step;
        const int64_t cell = (b.member * p.time + t) * p.batch + b.series[r];
        if (p.dh_norms) p.dh_norms[cell] = dh_squares[r];
        if (has_c && p.dc_norms) p.dc_norms[cell] = dc_squares[r];
        if (!p.dw_hh) continue;
        pack_inputs(h_product + r * stride, int64_t(1), of_h, chunk, filled + r, inputs + I * chunk);
        pack_inputs(p.x + b.member * p.x_member + t * p.x_time + b.series[r] * p.x_batch, p.x_channel, of_x, chunk,
                    filled + r, inputs);
      }
      if (step > 0 || p.dh0) {
        const Real* from = at.delta + Tile::h_slot * Hv;
        const bool add = kind == Kind::gru || p.zoneout_h;
        if (mask) {
          product(from, ld, running, packed, depth, H, masked_dh, Hv, false);
          for (int64_t r = 0; r < running; ++r) {
            for (int64_t u = 0; u < Hv; u += W) {
              Real* to = dh + r * Hv + u;
              store(to, fma(load(masked_dh + r * Hv + u), load(mask + r * stride + u), add ? load(to) : Vec<Real>{}));
            }
          }
        } else {
          product(from, ld, running, packed, depth, H, dh, Hv, add);
        }
      }
      filled += running;

      if (step > begin && filled + before <= chunk) continue;
      if (p.dw_hh) accumulate_weights<Real, kind>(p, inputs, chunk, delta, filled, columns, partial);
      if (p.dx) {
        const Real* of_channels = packed + product_panels<Real>(H) * depth * product_vectors * W;
        product(delta, ld, filled, of_channels, depth, I, dx, Iv, false);
        const Real* row = dx;
        int64_t rows = 0;
        for (int64_t s = chunk_end - 1; s >= step; --s) {
          while (rows < b.rows && b.length[rows] > s) ++rows;
          for (int64_t r = 0; r < rows; ++r, row += Iv) {
            const int64_t t = p.reverse ? b.length[r] - 1 - s : s;
            copy_row(row, p.dx + ((b.member * p.time + t) * p.batch + b.series[r]) * I, I);
          }
        }
      }
      filled = 0;
      chunk_end = step;
    }
  }

  for (int64_t r = 0; r < b.rows; ++r) {
    const int64_t state = (b.member * p.batch + b.series[r]) * H;
    if (p.dh0) copy_row(dh + r * Hv, p.dh0 + state, H);
    if (has_c && p.dc0) copy_row(dc + r * Hv, p.dc0 + state, H);
    for (int64_t t = b.length[r]; t < p.time; ++t) {
      const int64_t cell = (b.member * p.time + t) * p.batch + b.series[r];
      if (p.dx) fill(p.dx + cell * I, I);
      if (p.dh_norms) p.dh_norms[cell] = 0;
      if (has_c && p.dc_norms) p.dc_norms[cell] = 0;
    }
  }
}

// Sum the blocks' partials in the order of the blocks, into torch's layout. A piece is one slot of one vector of
// units: its rows of the weights and biases.
template <class Real, Kind kind>
int64_t reduce_pieces(const Problem<Real>& p) {
  return BackwardTile<kind>::slots * unit_vectors(p);
}

template <class Real, Kind kind>
void reduce(const Problem<Real>& p, int64_t member, int64_t piece, const Real* partials, int64_t blocks) {
  constexpr int64_t W = width<Real>;
  const int64_t H = p.hidden, I = p.channels, Hv = padded<Real>(H), gates = weight_gates(kind);
  const int64_t slot = piece / unit_vectors(p), unit = piece % unit_vectors(p) * W;
  const int64_t count = H - unit < W ? H - unit : W, column = slot * Hv + unit;
  const int64_t size = throughtime::TT_ISA::partial<Real, kind>(p);
  const int64_t row = (member * gates + gate_of_slot<kind>(slot)) * H + unit;  // of the weights and biases
  const bool x_part = kind != Kind::gru || slot < 3, h_part = kind != Kind::gru || slot > 0;
  const Ranges<Real, kind> ranges(p);
  const Range* range = ranges.at;
  while (column >= range->column + range->columns) ++range;
  const int64_t wide = outer_vectors * W, inside = column - range->column, panel = inside / wide * wide;
  const int64_t ld = range->columns - panel < wide ? range->columns - panel : wide;
  const Real* const first = partials + range->offset + panel * range->inputs + (inside - panel);

  const auto total = [&](int64_t input) {
    const Real* from = first + input * ld;
    Vec<Real> sum = load(from);
    for (int64_t block = 1; block < blocks; ++block) sum += load(from + block * size);
    return sum;
  };
  // A row of the result is a unit's, where a row of the partials is an input's.
  const auto spread = [&](int64_t input, int64_t inputs, Real* to, int64_t length) {
    for (; inputs >= W && count == W; inputs -= W, input += W, to += W) {
      Vec<Real> tile[W];
      TT_UNROLL
      for (int i = 0; i < W; ++i) tile[i] = total(input + i);
      transpose<Real>(tile);
      TT_UNROLL
      for (int lane = 0; lane < W; ++lane) store(to + lane * length, tile[lane]);
    }
    for (; inputs > 0; --inputs, ++input, ++to) {
      const Vec<Real> sum = total(input);
      for (int64_t lane = 0; lane < count; ++lane) to[lane * length] = sum[lane];
    }
  };
  const int64_t of_x = range->input == 0 ? I : 0;
  if (of_x) spread(0, I, p.dw_ih + row * I, I);
  if (range->inputs > of_x) spread(of_x, H, p.dw_hh + row * H, H);
  const Real* from = partials + ranges.bias + column;
  Vec<Real> sum = load(from);
  for (int64_t block = 1; block < blocks; ++block) sum += load(from + block * size);
  if (x_part && p.db_ih) store_first(p.db_ih + row, sum, count);
  if (h_part && p.db_hh) store_first(p.db_hh + row, sum, count);
}

}  // namespace TT_ISA
}  // namespace throughtime
