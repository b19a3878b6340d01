#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Which stored rows stand for a run, the same at every site, so that sites can be compared row by row.
struct SampleRows {
    /// Numbers of stored rows, [n], in ascending order of group, then row. The first position is left out
    /// wherever sequences are longer than one token: it is an outlier of its own kind that would rule every
    /// average.
    std::vector<std::int64_t> rows;
    std::vector<std::int32_t> group;       ///< [n] of each row
    std::vector<std::int64_t> first_rows;  ///< stored rows at position 0, left out above
    std::int64_t n_candidates = 0;         ///< rows that `rows` was drawn from
    int n_groups = 0;  ///< what the bootstrap draws: sequences, or runs of neighbouring ones
    std::vector<std::int32_t> group_of_sequence;  ///< -1: no stored row

    std::int64_t size() const { return static_cast<std::int64_t>(rows.size()); }
};

/// Most groups: above it neighbouring sequences share one. More would make intervals finer and costs
/// quadratic.
inline constexpr int kMostGroups = 64;

/// At most `rows` rows by seed, of those that `left_out` [n_rows] does not mark. Empty where the run keeps no
/// vectors.
SampleRows draw_sample(const Run& run, std::int64_t rows, std::uint64_t seed,
                       std::span<const std::uint8_t> left_out);

/// Those rows at a site, [rows.size(), width].
Matrix read_sample(const Run& run, const Site& site, const std::vector<std::int64_t>& rows);

/// Up to eight layers, evenly spread over the middle ones (middle_layers()): what headline numbers average
/// over.
std::vector<int> headline_layers(int n_layers);

/// Sites of a run with vectors of width d_model, in network order.
std::vector<Site> vector_sites(const Run& run);

}  // namespace tomograph
