#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Orthonormal directions [at most k, d] that hold nearly as much of the squares of `rows` [n, d] as their k
/// leading principal directions (not centred) do, largest first; fewer where the rows span fewer. For where a
/// good basis serves as well as the best one: it costs some n d k multiply-adds, and no matrix [d, d]. Block
/// power iteration from seeded directions (Halko, Martinsson & Tropp 2011, "Finding structure with
/// randomness", algorithm 4.4), in float32. The same bytes at any number of threads. Rows are finite.
Matrix leading_directions(const Matrix& rows, std::int64_t k, std::uint64_t seed, int threads);

}  // namespace tomograph
