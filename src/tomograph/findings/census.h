#pragma once
// Which rows of a run may be compared with each other. For use inside findings/ only.
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/findings/sinks.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Taken before any row is drawn, so that all findings leave out the same ones.
struct RowCensus {
    std::vector<Site> sites;             ///< those that were asked for, but the ones with hardly a number
    std::vector<std::uint8_t> left_out;  ///< [n_rows] 1: NaN or Inf at some site, or a sink
    std::vector<Sink> sinks;
    std::int64_t n_not_finite = 0;   ///< rows that are left out for it
    std::vector<std::string> notes;  ///< what was left out, in words

    bool has(const Site& site) const;
    std::int64_t n_left_out() const;
};

/// A site where more than half of the rows hold NaN or Inf is left out as a whole; elsewhere its bad rows are
/// left out at all sites. Reads only what the norms leave open: a row whose norm float16 can hold is finite.
RowCensus take_census(const Run& run, const std::vector<Site>& sites, int threads);

/// Sites of a run whose rows are compared: vector_sites(), and `z` where it has heads.
std::vector<Site> compared_sites(const Run& run);

}  // namespace tomograph
