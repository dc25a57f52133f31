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
  // Anywhere in memory, whatever its declared type.
  typedef float Anywhere __attribute__((vector_size(TT_VECTOR_BYTES), aligned(4), may_alias));
  static constexpr uint32_t sign = uint32_t{1} << 31, bias = 127;
  static constexpr int mantissa = 23;
  static constexpr float round = 0x1.8p23f;  // adding it rounds to an integer in the low bits
  static constexpr float log2e = 0x1.715476p+0f, ln2_hi = 0x1.62E400p-1f, ln2_lo = 0x1.7F7D1Cp-20f;
  // 2^n must be a normal number: n from -126 to 127.
  static constexpr float exp_lo = -87.3f, exp_hi = 88.376f, exp_infinite = 88.9f;  // e^exp_infinite: n = 128, r > 0
  static constexpr float tanh_flat = 10.0f;                                        // tanh rounds to 1 from 9.02 on
  // e^r = 1 + r + r^2 q(r), |r| <= ln(2)/2, relative error 1.1e-8 before rounding (Chebyshev nodes).
  static constexpr int degree = 4;
  static constexpr float q[degree + 1] = {0x1p-1f, 0x1.5554dcp-3f, 0x1.555518p-5f, 0x1.120be2p-7f, 0x1.6d117cp-10f};
};

template <>
struct Lanes<double> {
  typedef double V __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef int64_t Mask __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef uint64_t Bits __attribute__((vector_size(TT_VECTOR_BYTES)));
  typedef double Anywhere __attribute__((vector_size(TT_VECTOR_BYTES), aligned(8), may_alias));
  static constexpr uint64_t sign = uint64_t{1} << 63, bias = 1023;
  static constexpr int mantissa = 52;
  static constexpr double round = 0x1.8p52;
  static constexpr double log2e = 0x1.71547652b82fep+0, ln2_hi = 0x1.62e42fee00000p-1, ln2_lo = 0x1.a39ef35793c76p-33;
  static constexpr double exp_lo = -708.3, exp_hi = 709.43, exp_infinite = 709.9;  // n = 1024, r > 0
  static constexpr double tanh_flat = 20.0;                                        // from 19.07 on
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

template <class Real>
struct Reduced {
  Vec<Real> tail;   // e^r - 1
  Vec<Real> scale;  // 2^n
};

// x = n ln 2 + r. Needs exp_lo <= x <= exp_hi, or NaN, which comes out in `tail` whatever `scale` then is.
template <class Real>
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
  bits = (bits << L::mantissa) + (L::bias << L::mantissa);
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
  Vec<Real> inside = x < L::exp_lo ? splat<Real>(L::exp_lo) : x;
  inside = inside > L::exp_hi ? splat<Real>(L::exp_hi) : inside;
  const Reduced<Real> e = reduce_exponent<Real>(inside);
  const Vec<Real> value = fma(e.tail, e.scale, e.scale);
  const Vec<Real> capped = x > L::exp_hi ? splat<Real>(static_cast<Real>(__builtin_inf())) : value;
  return x < L::exp_lo ? Vec<Real>{} : capped;
}

// Within 2.6 ulp, or 1.2e-38 (float64: 2.3e-308) where the value is that small.
template <class Real>
TT_INLINE Vec<Real> sigmoid(Vec<Real> x) {
  using L = Lanes<Real>;
  // Below exp_lo the 1 swallows the power; above exp_hi it is 2^(bias + 1), which reads as infinity.
  Vec<Real> y = -x;
  y = y < L::exp_lo ? splat<Real>(L::exp_lo) : y;
  y = y > L::exp_hi ? splat<Real>(L::exp_infinite) : y;
  const Reduced<Real> e = reduce_exponent<Real>(y);
  return Real(1) / (Real(1) + fma(e.tail, e.scale, e.scale));
}

// Within 2.6 ulp. From e^(-2|x|) - 1, whose leading bits do not cancel near 0.
template <class Real>
TT_INLINE Vec<Real> tanh(Vec<Real> x) {
  using L = Lanes<Real>;
  typename L::Bits bits;
  std::memcpy(&bits, &x, sizeof bits);
  const typename L::Bits sign = bits & L::sign;
  bits &= ~L::sign;
  Vec<Real> magnitude;
  std::memcpy(&magnitude, &bits, sizeof bits);
  magnitude = magnitude > L::tanh_flat ? splat<Real>(L::tanh_flat) : magnitude;
  const Reduced<Real> e = reduce_exponent<Real>(magnitude * Real(-2));
  const Vec<Real> less_one = fma(e.tail, e.scale, e.scale - Real(1));
  const Vec<Real> value = -less_one / (less_one + Real(2));
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits & ~L::sign) | sign;  // also makes tanh(-0) = -0
  Vec<Real> out;
  std::memcpy(&out, &bits, sizeof bits);
  return out;
}

// Lanes in a fixed order.
template <class Real>
TT_INLINE Real sum_lanes(Vec<Real> v) {
  Real sum = v[0];
  for (int i = 1; i < width<Real>; ++i) sum += v[i];
  return sum;
}

}  // namespace TT_ISA
}  // namespace throughtime
