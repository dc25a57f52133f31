#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

namespace throughtime {

#define TT_DECLARE(isa)                                        \
  namespace isa {                                              \
  void fill_tables(Kernels<float>& f32, Kernels<double>& f64); \
  }
TT_DECLARE(portable)
#if defined(THROUGHTIME_X86)
TT_DECLARE(v2)
TT_DECLARE(v3)
TT_DECLARE(v4)
#endif

namespace {

struct Level {
  Kernels<float> f32;
  Kernels<double> f64;
};

struct Levels {
  std::vector<std::string> names;
  std::vector<Level> tables;

  Levels() {
#if defined(THROUGHTIME_X86)
    __builtin_cpu_init();
    const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v4) add("x86-64-v4", v4::fill_tables);
    if (v3) add("x86-64-v3", v3::fill_tables);
    if (v2) add("x86-64-v2", v2::fill_tables);
#endif
    add("portable", portable::fill_tables);
  }

  void add(const char* name, void (*fill)(Kernels<float>&, Kernels<double>&)) {
    names.emplace_back(name);
    tables.emplace_back();
    fill(tables.back().f32, tables.back().f64);
  }

  static const Levels& usable() {
    static const Levels levels;
    return levels;
  }

  const Level& find(const std::string& isa) const {
    if (isa.empty()) return tables.front();
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] == isa) return tables[i];
    }
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    throw std::invalid_argument("THROUGHTIME_ISA needs one of " + all + ", got " + isa);
  }
};

}  // namespace

const std::vector<std::string>& isa_names() { return Levels::usable().names; }

std::string isa_wanted() {
  const char* name = std::getenv("THROUGHTIME_ISA");
  return name ? name : "";
}

template <>
const Kernels<float>& kernels<float>(const std::string& isa) {
  return Levels::usable().find(isa).f32;
}
template <>
const Kernels<double>& kernels<double>(const std::string& isa) {
  return Levels::usable().find(isa).f64;
}

}  // namespace throughtime
