// The op: plans the blocks, packs the weights, runs the kernels on the pool.
#pragma once

#include <string>

#include "pool.h"
#include "problem.h"

namespace throughtime {

// How many series a task carries: a function of the layer's shape alone, or results would depend on company.
int block_rows(Kind kind, int64_t channels, int64_t hidden, size_t real_bytes);

// `lengths` is [member][batch], each 1 to time; throws std::invalid_argument otherwise. Null: all of them time.
template <class Real>
void recurrent_forward(const Problem<Real>& p, const int64_t* lengths, const ThreadTeam& team, const std::string& isa);
template <class Real>
void recurrent_backward(const Problem<Real>& p, const int64_t* lengths, const ThreadTeam& team, const std::string& isa);

}  // namespace throughtime
