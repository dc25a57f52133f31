// The instruction sets this build holds and this machine runs.
#pragma once

#include <string>
#include <vector>

#include "problem.h"

namespace throughtime {

// Usable here, best first: of "x86-64-v4", "x86-64-v3", "x86-64-v2", "portable".
const std::vector<std::string>& isa_names();

// The one that the environment asks for (THROUGHTIME_ISA); empty for the best.
std::string isa_wanted();

// The best one for an empty name. Throws std::invalid_argument for a name that is not usable here.
template <class Real>
const Kernels<Real>& kernels(const std::string& isa);

}  // namespace throughtime
