// Vectors and activations of one instruction set. Included once per kernel_*.cpp, inside its namespace.
//
// Everything here and in the other -inl.h files must stay in namespace TT_ISA and away from inline functions of the
// standard library: the linker keeps one copy of those, and it may be the one compiled for AVX-512.
//
// The build passes -ffp-contract=off: each fused multiply-add is written as fma(), so that no two instantiations of
// a tile can round differently.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define TT_VECTOR_BYTES 64
#define TT_REGISTERS 32
#elif defined(__AVX2__)
#define TT_VECTOR_BYTES 32
#define TT_REGISTERS 16
#elif defined(__aarch64__)
#define TT_VECTOR_BYTES 16
#define TT_REGISTERS 32
#else
#define TT_VECTOR_BYTES 16
#define TT_REGISTERS 16
#endif

#define TT_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define TT_UNROLL _Pragma("clang loop unroll(full)")
#define TT_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define TT_UNROLL _Pragma("GCC unroll 16")
#define TT_NO_UNROLL _Pragma("GCC unroll 1")
#endif

namespace throughtime {
namespace TT_ISA {

template <class Real>
struct Lanes;

template <>
struct Lanes<float> {
  typedef float V __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef int32_t Mask __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef uint32_t Bits __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef double Wide __attribute__((vector_size(2 * TT_VECTOR_BYTES)));  // a vector's lanes in float64
  // Anywhere in memory, whatever its declared type.
  typedef float Anywhere __attribute__((vector_size(TT_VECTOR_BYTES), aligned(4), may_alias));
  static constexpr uint32_t sign = uint32_t{1} << 31, bias = 127;
  static constexpr int mantissa = 23;
  static constexpr float round = 0x1.8p23f;  // adding it rounds to an integer in the low bits
  static constexpr float log2e = 0x1.715476p+0f, ln2_hi = 0x1.62E400p-1f, ln2_lo = 0x1.7F7D1Cp-20f;
  // 2^n must be a normal number: n from -126 to 127.
  static constexpr float exp_lo = -87.3f, exp_hi = 88.376f;
  static constexpr float exp_infinite = 88.9f;  // n = 128, r > 0: the power overflows
  static constexpr float tanh_flat = 10.0f;     // tanh rounds to 1 from 9.02 on
  // e^r = 1 + r + r^2 q(r), |r| <= ln(2)/2, relative error 1.1e-8 before rounding (Chebyshev nodes).
  static constexpr int degree = 4;
  static constexpr float q[degree + 1] = {0x1p-1f, 0x1.5554dcp-3f, 0x1.555518p-5f, 0x1.120be2p-7f, 0x1.6d117cp-10f};
};

template <>
struct Lanes<double> {
  typedef double V __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef int64_t Mask __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef uint64_t Bits __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef V Wide;
  typedef double Anywhere __attribute__((vector_size(TT_VECTOR_BYTES), aligned(8), may_alias));
  static constexpr uint64_t sign = uint64_t{1} << 63, bias = 1023;
  static constexpr int mantissa = 52;
  static constexpr double round = 0x1.8p52;
  static constexpr double log2e = 0x1.71547652b82fep+0, ln2_hi = 0x1.62e42fee00000p-1, ln2_lo = 0x1.a39ef35793c76p-33;
  static constexpr double exp_lo = -708.3, exp_hi = 709.43;
  static constexpr double exp_infinite = 709.9;  // n = 1024, r > 0
  static constexpr double tanh_flat = 20.0;      // from 19.07 on
  // Relative error 1.8e-17 before rounding.
  static constexpr int degree = 9;
  static constexpr double q[degree + 1] = {0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d37p-5,
                                           0x1.11111111109a6p-7,  0x1.6c16c1789d1d7p-10, 0x1.a01a01a7cebcdp-13,
                                           0x1.a019b8ca26fcfp-16, 0x1.71de0d85293b8p-19, 0x1.2891d4ffbb0f9p-22,
                                           0x1.af390ba7e6f47p-26};
};

template <class Real>
using Vec = typename Lanes<Real>::V;
template <class Real>
using Wide = typename Lanes<Real>::Wide;
template <class Real>
constexpr int width = TT_VECTOR_BYTES / sizeof(Real);

TT_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class Real>
TT_INLINE Vec<Real> load(const Real* p) {
  return *reinterpret_cast<const typename Lanes<Real>::Anywhere*>(p);
}
template <class Real>
TT_INLINE void store(Real* p, Vec<Real> v) {
  *reinterpret_cast<typename Lanes<Real>::Anywhere*>(p) = v;
}
template <class Real>
TT_INLINE Vec<Real> splat(Real s) {
  return s - Vec<Real>{};  // a plain broadcast: s - 0 is s, where s + 0 would lose the sign of -0
}
// The first `count` lanes; the memory beyond them is the caller's and may not be mapped.
template <class Real>
TT_INLINE Vec<Real> load_first(const Real* p, int64_t count) {
  if (count >= width<Real>) return load(p);
  Real lanes[width<Real>] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load(lanes);
}
template <class Real>
TT_INLINE void store_first(Real* p, Vec<Real> v, int64_t count) {
  if (count >= width<Real>) return store(p, v);
  Real lanes[width<Real>];
  store(lanes, v);
  for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}
// Ones in the lanes below `count`. Selecting with it keeps a NaN out of the padding; multiplying would not.
template <class Real>
TT_INLINE typename Lanes<Real>::Mask lanes_below(int64_t count) {
  typename Lanes<Real>::Mask mask = {};
  for (int i = 0; i < width<Real>; ++i) mask[i] = i < count ? -1 : 0;
  return mask;
}

#if defined(__AVX512F__)
TT_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm512_fmadd_ps(a, b, c); }
TT_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__FMA__)
TT_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm256_fmadd_ps(a, b, c); }
TT_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined(__aarch64__)
TT_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return vfmaq_f32(c, a, b); }
TT_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return vfmaq_f64(c, a, b); }
#else
template <class V>
TT_INLINE V fma(V a, V b, V c) {
  return a * b + c;  // two roundings: this level has no fused multiply-add
}
#endif

// NaN passes both.
#if defined(__AVX512F__)
TT_INLINE Vec<float> at_least(Vec<float> x, float low) { return _mm512_max_ps(splat<float>(low), x); }
TT_INLINE Vec<double> at_least(Vec<double> x, double low) { return _mm512_max_pd(splat<double>(low), x); }
TT_INLINE Vec<float> at_most(Vec<float> x, float high) { return _mm512_min_ps(splat<float>(high), x); }
TT_INLINE Vec<double> at_most(Vec<double> x, double high) { return _mm512_min_pd(splat<double>(high), x); }
#elif defined(__AVX2__)
TT_INLINE Vec<float> at_least(Vec<float> x, float low) { return _mm256_max_ps(splat<float>(low), x); }
TT_INLINE Vec<double> at_least(Vec<double> x, double low) { return _mm256_max_pd(splat<double>(low), x); }
TT_INLINE Vec<float> at_most(Vec<float> x, float high) { return _mm256_min_ps(splat<float>(high), x); }
TT_INLINE Vec<double> at_most(Vec<double> x, double high) { return _mm256_min_pd(splat<double>(high), x); }
#else
template <class V, class Real>
TT_INLINE V at_least(V x, Real low) {
  return x < low ? splat<Real>(low) : x;
}
template <class V, class Real>
TT_INLINE V at_most(V x, Real high) {
  return x > high ? splat<Real>(high) : x;
}
#endif

template <class Real>
struct Reduced {
  Vec<Real> tail;   // e^r - 1
  Vec<Real> scale;  // 2^(n + Shift)
};

// x = n ln 2 + r. Needs exp_lo <= x and n + Shift <= 127 (1023), or NaN, which comes out in `tail` whatever `scale`
// then is. A scale of 2^-127 (2^-1023) reads as 0.
template <class Real, int Shift = 0>
TT_INLINE Reduced<Real> reduce_exponent(Vec<Real> x) {
  using L = Lanes<Real>;
  const Vec<Real> shifted = fma(x, splat<Real>(L::log2e), splat<Real>(L::round));
  const Vec<Real> n = shifted - L::round;
  Vec<Real> r = fma(n, splat<Real>(-L::ln2_hi), x);
  r = fma(n, splat<Real>(-L::ln2_lo), r);
  Vec<Real> q = splat<Real>(L::q[L::degree]);
  TT_UNROLL
  for (int k = L::degree - 1; k >= 0; --k) q = fma(q, r, splat<Real>(L::q[k]));
  typename L::Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << L::mantissa) + ((L::bias + Shift) << L::mantissa);
  Reduced<Real> out;
  out.tail = fma(r * r, q, r);
  std::memcpy(&out.scale, &bits, sizeof bits);
  return out;
}

// Within 1.1 ulp; 0 below exp_lo (e^-87.3 is 1.2e-38) and infinite above exp_hi (2.4e38), up to where the true value
// is itself no normal number.
template <class Real>
TT_INLINE Vec<Real> exp(Vec<Real> x) {
  using L = Lanes<Real>;
  const Reduced<Real> e = reduce_exponent<Real>(at_most(at_least(x, L::exp_lo), L::exp_hi));
  const Vec<Real> value = fma(e.tail, e.scale, e.scale);
  const Vec<Real> capped = x > L::exp_hi ? splat<Real>(static_cast<Real>(__builtin_inf())) : value;
  return x < L::exp_lo ? Vec<Real>{} : capped;
}

// Within 2.6 ulp, or 1.2e-38 (float64: 2.3e-308) where the value is that small.
template <class Real>
TT_INLINE Vec<Real> sigmoid(Vec<Real> x) {
  using L = Lanes<Real>;
  // Half the power is finite to the end of the range and the power is not. Below exp_lo the 1 swallows it.
  const Reduced<Real> e = reduce_exponent<Real, -1>(at_most(at_least(-x, L::exp_lo), L::exp_infinite));
  return Real(1) / fma(splat<Real>(2), fma(e.tail, e.scale, e.scale), splat<Real>(1));
}

// Within 2.6 ulp, in float64 3 (2.63 is the largest found in a hundred million). From 1 - e^(-2|x|), whose leading bits
// do not cancel near 0.
template <class Real>
TT_INLINE Vec<Real> tanh(Vec<Real> x) {
  using L = Lanes<Real>;
  typename L::Bits bits;
  std::memcpy(&bits, &x, sizeof bits);
  const typename L::Bits sign = bits & L::sign;
  bits &= ~L::sign;
  Vec<Real> magnitude;
  std::memcpy(&magnitude, &bits, sizeof bits);
  const Reduced<Real> e = reduce_exponent<Real>(at_most(magnitude, L::tanh_flat) * Real(-2));
  const Vec<Real> rest = fma(-e.tail, e.scale, Real(1) - e.scale);  // +0 at 0
  const Vec<Real> value = rest / (Real(2) - rest);
  std::memcpy(&bits, &value, sizeof bits);
  bits |= sign;  // also makes tanh(-0) = -0
  Vec<Real> out;
  std::memcpy(&out, &bits, sizeof bits);
  return out;
}

// Lanes of a and b in turn, from the first half of each or from the second.
template <class Real, int... I>
TT_INLINE Vec<Real> interleave(Vec<Real> a, Vec<Real> b, bool second, std::integer_sequence<int, I...>) {
  constexpr int W = width<Real>;
  return second ? __builtin_shufflevector(a, b, ((I & 1) * W + W / 2 + I / 2)...)
                : __builtin_shufflevector(a, b, ((I & 1) * W + I / 2)...);
}

// rows[i][j] becomes rows[j][i]: a perfect shuffle of the rows' elements, once for each bit of an index.
template <class Real>
TT_INLINE void transpose(Vec<Real> (&rows)[width<Real>]) {
  constexpr int W = width<Real>;
  constexpr std::make_integer_sequence<int, W> lanes{};
  TT_UNROLL
  for (int bit = 1; bit < W; bit *= 2) {
    Vec<Real> shuffled[W];
    TT_UNROLL
    for (int i = 0; i < W / 2; ++i) {
      shuffled[2 * i] = interleave<Real>(rows[i], rows[i + W / 2], false, lanes);
      shuffled[2 * i + 1] = interleave<Real>(rows[i], rows[i + W / 2], true, lanes);
    }
    TT_UNROLL
    for (int i = 0; i < W; ++i) rows[i] = shuffled[i];
  }
}

// Lanes in a fixed order.
template <class Real>
TT_INLINE Real sum_lanes(Vec<Real> v) {
  Real sum = v[0];
  for (int i = 1; i < width<Real>; ++i) sum += v[i];
  return sum;
}
template <class Real>
TT_INLINE double sum_wide(const Wide<Real>& v) {
  double sum = v[0];
  for (int i = 1; i < width<Real>; ++i) sum += v[i];
  return sum;
}

}  // namespace TT_ISA
}  // namespace throughtime
