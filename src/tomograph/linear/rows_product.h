#pragma once
#include <cstdint>

namespace tomograph {

/// out [n, k] = a [n, d] b^T, b [k, d]; float32, row-major, on the calling thread alone.
void multiply_by_rows(const float* a, std::int64_t n, const float* b, std::int64_t k, std::int64_t d,
                      float* out);
/// out [k, d] += a^T b, a [n, k], b [n, d]; likewise.
void add_transposed_product(const float* a, std::int64_t n, std::int64_t k, const float* b, std::int64_t d,
                            float* out);

}  // namespace tomograph
