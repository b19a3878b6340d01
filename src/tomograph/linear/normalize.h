#pragma once
#include <cstdint>

namespace tomograph {

enum class Normalize {
    none,
    unit,       ///< each vector divided by its norm; zero vectors stay zero
    layernorm,  ///< each vector minus its mean, divided by its standard deviation over coordinates
};

/// In place, n rows of `dim`.
void normalize_rows(Normalize normalize, float* rows, std::int64_t n, std::int64_t dim);

}  // namespace tomograph
