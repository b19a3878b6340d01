#pragma once
#include <cstdint>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// What attention reads and writes, as a key-value cache holds it. All steps are in numbers, and the numbers
/// of one token at one head lie side by side.
struct Attention {
    const float* queries;  ///< [n_queries, n_heads, width]
    std::int64_t query_step, query_head_step;
    const void* keys;  ///< [n_keys, n_key_heads, width], float32, or float16 where `half`
    std::int64_t key_step, key_head_step;
    const void* values;  ///< [n_keys, n_key_heads, value_width], of the keys' type
    std::int64_t value_step, value_head_step;
    const std::uint16_t* mask;  ///< float16 [n_queries, n_keys], added to the scores; -infinity hides a key
    std::int64_t mask_step;
    float* out;  ///< [n_queries, n_heads, value_width], without gaps
    std::int64_t n_queries, n_keys, n_heads, n_key_heads, width, value_width;
    float scale;  ///< of the scores, before the mask
    bool half;
};

/// out = softmax(scale · queries · keysᵀ + mask) · values for every head; a query that sees no key gives
/// zeros. Head h reads the keys of head h / (n_heads / n_key_heads). Keys before the first and after the last
/// that some neighbouring queries see cost nothing, and what a query does not see has no part in what it
/// gives, be it infinite. In float32, on fork_join's threads: the same bytes at any number of them; levels
/// agree but for the rounding of sums. Memory: for each thread one head's keys and values in float32, and the
/// scores of 48 queries.
void attend(const Attention& attention, int threads, SimdLevel level = simd_level());

}  // namespace tomograph
