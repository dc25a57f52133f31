// What the processor makes of denormal numbers (float32 below 1.2e-38, float64 below 2.2e-308), for a scope and on the
// thread that enters it. Many processors take a hundred cycles for each of them, and the deltas of a gradient that
// vanishes are full of them. Elsewhere than on x86 with SSE and on AArch64 nothing is changed.
#pragma once

#include <cstdint>

namespace throughtime {

enum class Denormals { kept, flushed };

class DenormalMode {
 public:
  explicit DenormalMode(Denormals wanted) : before_(read()) {
    write(wanted == Denormals::flushed ? before_ | flush : before_ & ~flush);
  }
  ~DenormalMode() { write(before_); }
  DenormalMode(const DenormalMode&) = delete;
  DenormalMode& operator=(const DenormalMode&) = delete;

 private:
  // The memory clobbers keep calls, loads and stores between the two writes. Arithmetic on local numbers alone may
  // still be moved across: put it in a function that is called.
#if defined(__SSE2__)
  // MXCSR: results to zero (bit 15), operands as zero (bit 6). It also holds the exception flags, which therefore are
  // the caller's again behind the scope.
  using Register = uint32_t;
  static constexpr Register flush = uint32_t{1} << 15 | uint32_t{1} << 6;
  static Register read() {
    Register value;
    __asm__ volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value;
  }
  static void write(Register value) { __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory"); }
#elif defined(__aarch64__)
  // FPCR.FZ: both, for float32 and float64. The exception flags are in a register of their own, left alone.
  using Register = uint64_t;
  static constexpr Register flush = uint64_t{1} << 24;
  static Register read() {
    Register value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value) : : "memory");
    return value;
  }
  static void write(Register value) { __asm__ volatile("msr fpcr, %0" : : "r"(value) : "memory"); }
#else
  using Register = int;
  static constexpr Register flush = 0;
  static Register read() { return 0; }
  static void write(Register) {}
#endif

  const Register before_;
};

}  // namespace throughtime
