#pragma once
#include <cstdint>

namespace tomograph {

/// out = rows · weightsᵀ in float32: rows [n, k], weights [m, k], out [n, m], each row-major without gaps. By
/// OpenBLAS's product, one call a thread on fork_join's threads, each with its own weights (or, where those
/// are fewer than the rows or may not be cut, its own rows). The same bytes at any number of threads.
void multiply_by_weights(const float* rows, const float* weights, float* out, std::int64_t n, std::int64_t m,
                         std::int64_t k, int threads);

}  // namespace tomograph
