// The three inner loops, each a tile of MR rows x NV vectors whose accumulators stay in registers. A sum over k runs
// in the order of k, one fma a term: the same bits whatever the tile per row falls into.
#pragma once

#include "simd-inl.h"

namespace throughtime {
namespace TT_ISA {

// Cut `count` rows into the fewest tiles of at most `most` rows, as even as they come: 16 rows by 6 are 6 5 5, where
// 6 6 4 would leave too few accumulators in flight to hide the latency of an fma.
struct Cut {
  int64_t tiles, base, longer;
  Cut(int64_t count, int most) {
    tiles = ceil_div(count, most);
    base = tiles ? count / tiles : 0;
    longer = tiles ? count % tiles : 0;
  }
  int64_t start(int64_t tile) const { return tile * base + (tile < longer ? tile : longer); }
  int rows(int64_t tile) const { return static_cast<int>(base + (tile < longer ? 1 : 0)); }
};

// Call f(integral constant) for a row count known only at run time.
template <int N>
struct Constant {
  static constexpr int value = N;
};
template <int Most, class F>
TT_INLINE void with_constant(int n, F&& f) {
  if constexpr (Most >= 1) {
    if (n == Most) return f(Constant<Most>{});
    with_constant<Most - 1>(n, static_cast<F&&>(f));
  }
}

// acc[r][First + v] += sum_k a[r * lda + k] panel[k][v]; the panel holds Count vectors a k.
template <class Real, int First, int Count, int MR, int NA>
TT_INLINE void accumulate(Vec<Real> (&acc)[MR][NA], const Real* a, int64_t lda, const Real* panel, int64_t depth) {
  static_assert(First + Count <= NA, "columns beyond the accumulators");
  Vec<Real> sum[MR][Count];
  TT_UNROLL
  for (int r = 0; r < MR; ++r) {
    TT_UNROLL
    for (int v = 0; v < Count; ++v) sum[r][v] = acc[r][First + v];
  }
  for (int64_t k = 0; k < depth; ++k, panel += Count * width<Real>) {
    // Hold the shorter side in registers and pass through the other: with both, 16 registers would spill.
    if constexpr (MR < Count) {
      Vec<Real> s[MR];
      TT_UNROLL
      for (int r = 0; r < MR; ++r) s[r] = splat<Real>(a[r * lda + k]);
      TT_UNROLL
      for (int v = 0; v < Count; ++v) {
        const Vec<Real> b = load(panel + v * width<Real>);
        TT_UNROLL
        for (int r = 0; r < MR; ++r) sum[r][v] = fma(s[r], b, sum[r][v]);
      }
    } else {
      Vec<Real> b[Count];
      TT_UNROLL
      for (int v = 0; v < Count; ++v) b[v] = load(panel + v * width<Real>);
      TT_UNROLL
      for (int r = 0; r < MR; ++r) {
        const Vec<Real> s = splat<Real>(a[r * lda + k]);
        TT_UNROLL
        for (int v = 0; v < Count; ++v) sum[r][v] = fma(s, b[v], sum[r][v]);
      }
    }
  }
  TT_UNROLL
  for (int r = 0; r < MR; ++r) {
    TT_UNROLL
    for (int v = 0; v < Count; ++v) acc[r][First + v] = sum[r][v];
  }
}

// c[r][v] = (add ? c[r][v] : 0) + sum_k a[r][k] panel[k][v].
template <class Real, int MR, int NV>
TT_INLINE void product_tile(const Real* a, int64_t lda, const Real* panel, int64_t depth, Real* c, int64_t ldc,
                            bool add) {
  Vec<Real> acc[MR][NV];
  TT_UNROLL
  for (int r = 0; r < MR; ++r) {
    TT_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = add ? load(c + r * ldc + v * width<Real>) : Vec<Real>{};
  }
  accumulate<Real, 0, NV>(acc, a, lda, panel, depth);
  TT_UNROLL
  for (int r = 0; r < MR; ++r) {
    TT_UNROLL
    for (int v = 0; v < NV; ++v) store(c + r * ldc + v * width<Real>, acc[r][v]);
  }
}

// c[r][v] += sum_k a[k][r] b[k][v], both packed: the tall-skinny product of the weight gradients.
template <class Real, int MR, int NV>
TT_INLINE void outer_tile(const Real* a, const Real* b, int64_t depth, Real* c) {
  constexpr int W = width<Real>;
  Vec<Real> acc[MR][NV];
  TT_UNROLL
  for (int r = 0; r < MR; ++r) {
    TT_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = load(c + (r * NV + v) * W);
  }
  for (int64_t k = 0; k < depth; ++k, a += MR, b += NV * W) {
    Vec<Real> column[NV];
    TT_UNROLL
    for (int v = 0; v < NV; ++v) column[v] = load(b + v * W);
    TT_UNROLL
    for (int r = 0; r < MR; ++r) {
      const Vec<Real> s = splat<Real>(a[r]);
      TT_UNROLL
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(s, column[v], acc[r][v]);
    }
  }
  TT_UNROLL
  for (int r = 0; r < MR; ++r) {
    TT_UNROLL
    for (int v = 0; v < NV; ++v) store(c + (r * NV + v) * W, acc[r][v]);
  }
}

}  // namespace TT_ISA
}  // namespace throughtime
