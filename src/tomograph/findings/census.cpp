#include "tomograph/findings/census.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/threads.h"
#include "tomograph/findings/sample.h"

namespace tomograph {
namespace {

/// Below it no coordinate of a row is out of float16's range, and none is NaN or Inf.
constexpr float kHeldByF16 = 65504;

/// Stored rows with NaN or Inf at a site, ascending.
std::vector<std::int64_t> bad_rows(const Run& run, const Site& site) {
    constexpr std::int64_t kBlock = 4096;
    const std::vector<float> norms = run.has_stats() ? run.norms(site) : std::vector<float>();
    std::vector<std::int64_t> unsure, bad;
    const auto read = [&] {
        const Matrix rows = read_sample(run, site, unsure);
        for (Eigen::Index i = 0; i < rows.rows(); ++i) {
            if (!rows.row(i).allFinite()) bad.push_back(unsure[static_cast<std::size_t>(i)]);
        }
        unsure.clear();
        run.release();
    };
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
        if (token < norms.size() && norms[token] < kHeldByF16) continue;
        unsure.push_back(row);
        if (static_cast<std::int64_t>(unsure.size()) == kBlock) read();
    }
    read();
    return bad;
}

}  // namespace

bool RowCensus::has(const Site& site) const {
    return std::find(sites.begin(), sites.end(), site) != sites.end();
}

std::int64_t RowCensus::n_left_out() const {
    return std::count(left_out.begin(), left_out.end(), std::uint8_t{1});
}

RowCensus take_census(const Run& run, const std::vector<Site>& sites, int threads) {
    RowCensus census;
    census.left_out.assign(static_cast<std::size_t>(run.n_rows()), 0);
    std::vector<std::vector<std::int64_t>> bad(sites.size());
    parallel_for(static_cast<std::int64_t>(sites.size()), threads, [&](std::int64_t i) {
        const auto at = static_cast<std::size_t>(i);
        bad[at] = bad_rows(run, sites[at]);
    });
    std::int64_t first_row = -1;
    std::string first_site;
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const auto n_bad = static_cast<std::int64_t>(bad[i].size());
        if (2 * n_bad > run.n_rows()) {
            census.notes.push_back(fmt::format("{} holds NaN or Inf in {} of {} rows and is left out",
                                               sites[i].name(), n_bad, run.n_rows()));
            continue;
        }
        census.sites.push_back(sites[i]);
        for (const std::int64_t row : bad[i]) census.left_out[static_cast<std::size_t>(row)] = 1;
        if (n_bad > 0 && (first_row < 0 || bad[i].front() < first_row)) {
            first_row = bad[i].front();
            first_site = sites[i].name();
        }
    }
    census.n_not_finite = census.n_left_out();
    if (census.n_not_finite > 0) {
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(first_row)]);
        census.notes.push_back(fmt::format(
            "{} of {} rows hold NaN or Inf and are left out; the first is sequence {}, position {}, at {}",
            census.n_not_finite, run.n_rows(), run.tokens().sequence[token], run.tokens().position[token],
            first_site));
    }
    census.sinks = find_sinks(run);
    std::vector<std::uint8_t> is_sink(static_cast<std::size_t>(run.n_tokens()), 0);
    for (const Sink& sink : census.sinks) is_sink[static_cast<std::size_t>(sink.token)] = 1;
    // The first position is apart anyway, and what it does is measured there.
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)]);
        if (is_sink[token] != 0 && (run.length() == 1 || run.tokens().position[token] > 0))
            census.left_out[static_cast<std::size_t>(row)] = 1;
    }
    return census;
}

std::vector<Site> compared_sites(const Run& run) {
    std::vector<Site> sites = vector_sites(run);
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.component == Component::z && shape.shape.size() == 2 && run.has_vectors(shape.site) &&
            std::find(sites.begin(), sites.end(), shape.site) == sites.end())
            sites.push_back(shape.site);
    }
    return sites;
}

}  // namespace tomograph
